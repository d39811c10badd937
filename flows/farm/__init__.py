"""Many machines, one flow code: workers, dispatch, schedules and the server, all on Prefect."""
