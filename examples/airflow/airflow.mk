# Airflow with the Python package. Included by the Makefile.

.PHONY: demo-airflow

demo-airflow: ## a DAG attaches a folder of files (FILES=folder), in a real Airflow on this machine
	@scripts/setup demo
	@examples/airflow/test.sh demo $(FILES)
