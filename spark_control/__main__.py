"""`python -m spark_control` is `spark-control`."""

from spark_control.cli import main

if __name__ == "__main__":
    main()
