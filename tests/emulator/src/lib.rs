//! `zcrm-emulator`: a strict local Zoho CRM.
