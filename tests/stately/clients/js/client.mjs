// The official JavaScript client in the variants that the tests use.
import { createClient } from "@stately-cloud/client";
import { accessKeyAuth, nodeTransport } from "@stately-cloud/client/node";
import { webTransport } from "@stately-cloud/client/web";

import { itemTypeMap, schemaVersion } from "./types.mjs";

const made = (storeId, clientFactory) =>
  createClient({ storeId, itemTypeMap, schemaVersionID: schemaVersion, schemaID: 1, clientFactory });

/** Connect with protobuf over HTTP/2. */
export const overNode = (endpoint, storeId) => made(storeId, nodeTransport({ endpoint, noAuth: true }));

/** Connect with JSON over HTTP/1.1. */
export const overWeb = (endpoint, storeId) =>
  made(storeId, webTransport({ endpoint, authTokenProvider: () => async () => "unused" }));

/** With an access key; `interceptors` may add headers. */
export const withKey = (endpoint, storeId, { accessKey, abortSignal, interceptors }) =>
  made(
    storeId,
    nodeTransport({ endpoint, authTokenProvider: accessKeyAuth({ accessKey, abortSignal }), interceptors }),
  );
