"""Files and pictures of Zoho CRM records.

    import zcrm

    with zcrm.Client(client_id=…, client_secret=…, refresh_token=…, data_center="eu") as client:
        record = client.record("Contacts", "3652397000000649013")
        stored = record.upload("contract.pdf")
        record.upload(b"…", name="note.txt", timeout=60)
        record.link("https://example.com/order/17")
        for attachment in record.attachments():
            record.download(attachment.id, to=attachment.safe_name)
        record.photo.upload("portrait.png")
        record.delete(stored.id)

A failed call raises a subclass of Error, which tells everything that is known: `retryable`, `retry_after`, `outcome_open`, …

    except zcrm.NotFoundError: …
    except zcrm.Error as error: print(error.name, error.reason, error.retryable)

The settings of a client are the fields of Settings. Its token is shared by all processes of this user, as Zoho gives ten in ten minutes: see Client.

Client.records goes over the records of a module, Client.batch runs many steps with a journal, Client.step one that is data. zcrm.aio has the same for
asyncio, and `python -m zcrm` runs steps from its standard input. Log lines go to the logger "zcrm". The library is found in the package, or where the
environment's ZCRM_LIBRARY says.
"""

from . import _statuses
from ._batch import Batch, Outcome, Step
from ._bytes import Readable, Sink, Source, Writable
from ._call import Bar, Cancel, Progress
from ._client import SHARED, Client, describe, exchange_grant_code, settings_from_environment, version
from ._error import Error
from ._record import Photo, Record
from ._settings import Settings
from ._statuses import *  # noqa: F403
from ._values import Attachment, Grant, Summary, Transfer

__all__ = [
    "SHARED", "Attachment", "Bar", "Batch", "Cancel", "Client", "Error", "Grant", "Outcome", "Photo", "Progress", "Readable", "Record", "Settings",
    "Sink", "Source", "Step", "Summary", "Transfer", "Writable", "describe", "exchange_grant_code", "settings_from_environment", "version",
]
__all__ += _statuses.__all__

for _kind in (Error, *_statuses.BY_STATUS.values()):
    _kind.__module__ = __name__  # as a traceback shall name it
