//! zcrm: files and pictures between a workflow and Zoho CRM records.
