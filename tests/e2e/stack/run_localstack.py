"""Runs LocalStack's SQS, on 127.0.0.1 only: python run_localstack.py PORT FOLDER."""

import functools
import os
import sys

port, folder = sys.argv[1:]
os.environ.update(
    GATEWAY_LISTEN=f"127.0.0.1:{port}",
    SERVICES="sqs",
    EAGER_SERVICE_LOADING="1",
    # No usage reports, and no download of a certificate.
    DISABLE_EVENTS="1",
    SKIP_SSL_CERT_DOWNLOAD="1",
    FILESYSTEM_ROOT=folder,
    LOCALSTACK_VOLUME_DIR=folder,
    DEBUG="0",
    LS_LOG="warn",
)

from twisted.internet import endpoints  # noqa: E402

# LocalStack 4.14 listens on all interfaces, even if GATEWAY_LISTEN is set.
endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")

from localstack.runtime.main import main  # noqa: E402

main()
