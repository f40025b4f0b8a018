"""Build the Hub repository of a model and upload it: the branch `main`, and the branch `remote-code`.

    python -m model_card.publish --repo_id me/glcic-scenes          # builds, and says what would be uploaded
    python -m model_card.publish --repo_id me/glcic-scenes --yes

The account is that of `hf auth login`. Each branch gets at most one commit; where nothing changed, none. Files that
others have put into the repository stay, except inside `completion_network/` and `samples/`: these become what was
built.
"""

import argparse
import sys
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import disable_progress_bars, validate_repo_id

from glcic_hub.model import PIPELINE_COMPONENT
from model_card.build import add_arguments, build, output_dir_of

OWN_FOLDERS = (f"{PIPELINE_COMPONENT}/", "samples/")


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a built branch, by their paths in the repository."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def publish(folders: dict[str, Path], repo_id: str, private: bool = False) -> dict[str, str | None]:
    """Upload what was built. Returns the address of each branch's commit, None where nothing changed."""
    api = HfApi()
    api.create_repo(repo_id, private=private, exist_ok=True)
    return {branch: upload(api, folder, repo_id, branch) for branch, folder in folders.items()}


def upload(api: HfApi, folder: Path, repo_id: str, branch: str) -> str | None:
    """Make one branch what the folder is, in one commit, if it is not already."""
    if not api.revision_exists(repo_id, branch):
        api.create_branch(repo_id, branch=branch)
    before = api.model_info(repo_id, revision=branch).sha
    files = files_of(folder)
    there = api.list_repo_files(repo_id, revision=branch)
    operations = [CommitOperationAdd(path_in_repo, path) for path_in_repo, path in files.items()]
    operations += [CommitOperationDelete(path) for path in there if path.startswith(OWN_FOLDERS) and path not in files]
    # The client itself leaves out what has not changed, and makes no commit of nothing.
    commit = api.create_commit(
        repo_id, operations, revision=branch, parent_commit=before, commit_message="Publish the model and its card"
    )
    return None if commit.oid == before else commit.commit_url


def main(arguments: list[str] | None = None) -> None:
    """The command: an error is one sentence and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--repo_id", required=True, help="the repository, as me/glcic-scenes; made if it is not there")
    parser.add_argument("--private", action="store_true", help="if the repository is made, make it private")
    parser.add_argument("--yes", action="store_true", help="upload; without it nothing leaves this machine")
    args = parser.parse_args(arguments)
    try:
        validate_repo_id(args.repo_id)
        folders = build(args.model, output_dir_of(args), args.repo_id)
        for branch, folder in folders.items():
            print(f"{branch}: {folder}")
            for path_in_repo, path in files_of(folder).items():
                print(f"{path.stat().st_size:12,}  {path_in_repo}")
        if not args.yes:
            print(f"Nothing was uploaded. With --yes, this goes to {args.repo_id}.")
            return
        disable_progress_bars()
        for branch, address in publish(folders, args.repo_id, args.private).items():
            print(f"{branch}: {address or 'nothing has changed'}")
    except (OSError, ValueError) as error:  # The Hub's errors are OSErrors.
        sys.exit(f"model_card.publish: {error}")


if __name__ == "__main__":
    main()
