"""examples/python/zcrm.py against an emulator: run by tests/hosts.rs, which says where that is."""

import os
import threading
import unittest

import zcrm


def client(**more):
    return zcrm.Client(api_domain=os.environ["TEST_URL"], access_token=os.environ["TEST_TOKEN"], max_retries=0, **more)


def step(operation, **more):
    return {"operation": operation, "module": "Contacts", "record_id": os.environ["TEST_RECORD"], **more}


class Steps(unittest.TestCase):
    def test_a_file_goes_up_and_comes_down(self):
        allowed = client(allow_paths=os.environ["TEST_DIR"])
        path = os.path.join(os.environ["TEST_DIR"], "ü.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("hello")
        stored = allowed.run_step(step("attachment.upload", source={"path": path}))
        self.assertEqual(stored["result"]["file_name"], "ü.txt")
        sink = {"path": path + ".back"}
        allowed.run_step(step("attachment.download", attachment_id=stored["result"]["id"], sink=sink))
        with open(sink["path"], encoding="utf-8") as file:
            self.assertEqual(file.read(), "hello")

    def test_a_failure_is_an_exception_with_all_that_is_known(self):
        with self.assertRaises(zcrm.Error) as caught:
            client().run_step({"operation": "photo.delete", "module": "Contacts", "record_id": "99"})
        self.assertEqual(caught.exception.name, "ZCRM_E_INVALID_RECORD")
        self.assertGreaterEqual(caught.exception.http_status, 400)
        self.assertFalse(caught.exception.retryable)

    def test_wrong_input_names_its_json_path(self):
        with self.assertRaises(zcrm.Error) as caught:
            client().run_step(step("attachment.upload", source={"url": ""}))
        self.assertEqual((caught.exception.reason, caught.exception.detail["details"]), ("step_input", {"json_path": "$.source.url"}))

    def test_a_wrong_setting_is_an_exception(self):
        with self.assertRaisesRegex(zcrm.Error, "access_token"):
            zcrm.Client(acces_token="x")

    def test_a_call_is_cancelled_from_another_thread(self):
        cancel = zcrm.Cancel()
        threading.Timer(0.1, cancel.fire).start()
        with self.assertRaises(zcrm.Error) as caught:
            client().run_step(step("photo.download", sink={"base64": True}), cancel=cancel)
        self.assertEqual(caught.exception.name, "ZCRM_E_CANCELLED")

    def test_a_call_ends_at_its_timeout(self):
        with self.assertRaises(zcrm.Error) as caught:
            client().run_step(step("photo.download", sink={"base64": True}), timeout=0.05)
        self.assertEqual(caught.exception.name, "ZCRM_E_TIMEOUT")

    def test_the_description_has_every_operation(self):
        self.assertEqual(len(zcrm.describe()["operations"]), 8)
        self.assertRegex(zcrm.version(), r"^\d+\.\d+\.\d+")


if __name__ == "__main__":
    unittest.main()
