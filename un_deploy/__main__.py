"""`python -m un_deploy` is `un-deploy`."""

from un_deploy.cli import main

if __name__ == "__main__":
    main()
