"""Attaches a file to a record, shows what is attached, and fetches it back.

    python3 attach.py Contacts 3652397000000649013 contract.pdf

The login is in the environment: ZCRM_CLIENT_ID, ZCRM_CLIENT_SECRET, ZCRM_REFRESH_TOKEN and ZCRM_DATA_CENTER, or ZCRM_ACCESS_TOKEN.
"""

import pathlib
import sys

import zcrm


def main(module: str, record_id: str, path: str) -> int:
    with zcrm.Client(**zcrm.settings_from_environment()) as client:
        record = client.record(module, record_id)
        try:
            stored = record.upload(path, timeout=300)
        except zcrm.OutcomeUnknownError as error:
            print(f"{path} may be stored, or not; look at {', '.join(error.candidates) or 'the record'}: {error}", file=sys.stderr)
            return 4
        except zcrm.Error as error:
            when = f", again in {error.retry_after} s" if error.retryable and error.retry_after else ""
            print(f"{path}: {error} ({error.name}{when})", file=sys.stderr)
            return 1
        print(f"attached {stored.file_name} as {stored.id}")
        for attachment in record.attachments():
            print(attachment.id, attachment.link_url or attachment.file_name, attachment.size)
        back = record.download(stored.id)
        print("what came back is the same:", back.data == pathlib.Path(path).read_bytes())
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
