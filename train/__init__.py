"""Training and evaluation, from the repository."""

import glcic_hub  # noqa: F401  # before torch is: it says how long torch's threads wait for each other
