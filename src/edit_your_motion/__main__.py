"""``python -m edit_your_motion``: the command line where its scripts are not on the path."""

from edit_your_motion.cli import main

if __name__ == "__main__":
    main()
