"""When and where: the command line and Prefect flows. Prefect is imported only here."""
