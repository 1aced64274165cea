"""Waits for the server of S3 and makes a bucket.

    python benches/net/bucket.py NAME
"""

import os
import sys
import time
import urllib.error
import urllib.request

request = urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL']}/{sys.argv[1]}", method="PUT")
last = time.monotonic() + 120
while True:
    try:
        urllib.request.urlopen(request).close()
        break
    except urllib.error.HTTPError:
        raise
    except OSError:
        if time.monotonic() > last:
            raise
        time.sleep(0.2)
