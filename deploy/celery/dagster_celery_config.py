"""Settings of the Celery workers; dagster_celery finds this file by its name, on PYTHONPATH.

celery -A dagster_celery.app worker --concurrency 2 --hostname one@%h
"""

import os

broker_url = os.environ["CELERY_BROKER_URL"]
result_backend = os.environ["CELERY_RESULT_BACKEND"]
# A run that waits in the hand of a busy worker would keep a free one waiting, and be lost with it for an hour: Redis
# gives what was taken and not begun to another worker only then. So a worker takes what it can begin, and no more.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
# A process ends now and then, and gives back what memory it kept.
worker_max_tasks_per_child = 50
broker_connection_retry_on_startup = True
broker_transport_options = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
