"""Airflow: a connection type, a hook and operators. `pip install "zcrm[airflow]"`.

    from zcrm.airflow.operators import ZohoCrmUploadOperator

    ZohoCrmUploadOperator.partial(task_id="attach", module="Contacts", record_id="3652397000000649013").expand(source=list_files())

zcrm.airflow.hooks has ZohoCrmHook, zcrm.airflow.operators an operator for each operation. Airflow finds the connection type "Zoho CRM" by itself.
"""
