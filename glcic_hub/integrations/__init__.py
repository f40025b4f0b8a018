"""Other people's tools, one file for each; every file needs its tool installed and nothing else that we do not need."""
