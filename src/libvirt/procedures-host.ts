/**
 * Procedures of connection, authentication, host, secrets, node devices and networks. Numbers and layouts are
 * libvirt's and never change. Units are in the comments; flags are 0 unless a caller knows better.
 */
import { dom, network, nodeDevice, secret } from './objects.js';
import { high, low, none } from './procedure.js';
import { nodeStat } from './typed-params.js';
import {
  array,
  charArray,
  charList,
  i32,
  opaque,
  optional,
  str,
  struct,
  u32,
  u64,
  uuid,
} from './xdr-codecs.js';

const MAX_SASL_BYTES = 65_536;
const saslData = { nil: i32, data: charList(MAX_SASL_BYTES) };
const listRequest = struct({ needResults: i32, flags: u32 });
const xmlRequest = struct({ xml: str, flags: u32 });
const callback = struct({ callbackId: i32 });
const named = struct({ name: str });

export const hostProcedures = {
  // 0 none, 1 SASL, 2 polkit; must be the first call of a connection.
  AUTH_LIST: high(66, none, struct({ types: array(i32, 20) })),
  AUTH_POLKIT: high(70, none, struct({ complete: i32 })),
  AUTH_SASL_INIT: high(67, none, struct({ mechanisms: str })),
  AUTH_SASL_START: high(68, struct({ mechanism: str, ...saslData }), struct({ complete: i32, ...saslData })),
  AUTH_SASL_STEP: high(69, struct(saslData), struct({ complete: i32, ...saslData })),

  // flags bit 0: read-only.
  CONNECT_OPEN: high(1, struct({ name: optional(str), flags: u32 }), none),
  CONNECT_CLOSE: high(2, none, none),
  CONNECT_SUPPORTS_FEATURE: high(60, struct({ feature: i32 }), struct({ supported: i32 })),
  CONNECT_GET_TYPE: high(3, none, struct({ type: str })),
  // major * 1000000 + minor * 1000 + micro
  CONNECT_GET_VERSION: high(4, none, struct({ version: u64 })),
  CONNECT_GET_LIB_VERSION: high(157, none, struct({ version: u64 })),
  CONNECT_GET_HOSTNAME: high(59, none, struct({ hostname: str })),
  CONNECT_GET_URI: high(110, none, struct({ uri: str })),
  CONNECT_GET_CAPABILITIES: low(7, none, struct({ capabilities: str })),
  CONNECT_GET_DOMAIN_CAPABILITIES: low(
    342,
    struct({
      emulator: optional(str),
      arch: optional(str),
      machine: optional(str),
      virtType: optional(str),
      flags: u32,
    }),
    struct({ capabilities: str }),
  ),
  CONNECT_GET_MAX_VCPUS: high(5, struct({ type: optional(str) }), struct({ maxVcpus: i32 })),
  CONNECT_GET_SYSINFO: high(203, struct({ flags: u32 }), struct({ sysinfo: str })),
  // -1 error, 0 incompatible, 1 identical, 2 superset
  CONNECT_COMPARE_CPU: high(158, xmlRequest, struct({ result: i32 })),
  CONNECT_BASELINE_CPU: low(162, struct({ xmlCpus: array(str, 256), flags: u32 }), struct({ cpu: str })),
  CONNECT_BASELINE_HYPERVISOR_CPU: low(
    394,
    struct({
      emulator: optional(str),
      arch: optional(str),
      machine: optional(str),
      virtType: optional(str),
      xmlCpus: array(str, 256),
      flags: u32,
    }),
    struct({ cpu: str }),
  ),
  CONNECT_GET_CPU_MODEL_NAMES: low(
    312,
    struct({ arch: str, needResults: i32, flags: u32 }),
    struct({ models: array(str, 8192), ret: i32 }),
  ),
  CONNECT_REGISTER_CLOSE_CALLBACK: high(360, none, none),
  CONNECT_UNREGISTER_CLOSE_CALLBACK: high(361, none, none),

  // memory KiB
  NODE_GET_INFO: high(
    6,
    none,
    struct({
      model: charArray(32),
      memory: u64,
      cpus: i32,
      mhz: i32,
      nodes: i32,
      sockets: i32,
      cores: i32,
      threads: i32,
    }),
  ),
  // ns since boot; nparams must be exactly the count that a call with 0 answers; cpu -1 is all
  NODE_GET_CPU_STATS: high(
    227,
    struct({ cpu: i32, nparams: i32, flags: u32 }),
    struct({ params: array(nodeStat, 16), nparams: i32 }),
  ),
  // KiB; cell -1 is all
  NODE_GET_MEMORY_STATS: high(
    228,
    struct({ nparams: i32, cell: i32, flags: u32 }),
    struct({ params: array(nodeStat, 16), nparams: i32 }),
  ),
  // bytes
  NODE_GET_FREE_MEMORY: high(102, none, struct({ freeMemory: u64 })),
  NODE_GET_CELLS_FREE_MEMORY: high(
    101,
    struct({ startCell: i32, maxCells: i32 }),
    struct({ cells: array(u64, 1024) }),
  ),
  // page sizes in KiB in, counts out
  NODE_GET_FREE_PAGES: high(
    340,
    struct({ pages: array(u32, 1024), startCell: i32, cellCount: u32, flags: u32 }),
    struct({ counts: array(u64, 1024) }),
  ),
  NODE_ALLOC_PAGES: low(
    347,
    struct({
      pageSizes: array(u32, 1024),
      pageCounts: array(u64, 1024),
      startCell: i32,
      cellCount: u32,
      flags: u32,
    }),
    struct({ ret: i32 }),
  ),
  NODE_GET_CPU_MAP: low(
    293,
    struct({ needMap: i32, needOnline: i32, flags: u32 }),
    struct({ cpuMap: opaque(2048), online: u32, ret: i32 }),
  ),
  NODE_GET_SECURITY_MODEL: high(122, none, struct({ model: charList(4097), doi: charList(4097) })),

  // dom absent: all domains
  CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: high(
    316,
    struct({ eventId: i32, dom: optional(dom) }),
    callback,
  ),
  CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY: high(317, callback, none),

  CONNECT_LIST_ALL_SECRETS: high(287, listRequest, struct({ secrets: array(secret, 16_384), ret: u32 })),
  SECRET_LOOKUP_BY_UUID: high(141, struct({ uuid }), struct({ secret })),
  SECRET_LOOKUP_BY_USAGE: high(147, struct({ usageType: i32, usageId: str }), struct({ secret })),
  SECRET_DEFINE_XML: high(142, xmlRequest, struct({ secret })),
  SECRET_GET_XML_DESC: high(143, struct({ secret, flags: u32 }), struct({ xml: str })),
  SECRET_SET_VALUE: high(144, struct({ secret, value: opaque(65_536), flags: u32 }), none),
  SECRET_GET_VALUE: high(145, struct({ secret, flags: u32 }), struct({ value: opaque(65_536) })),
  SECRET_UNDEFINE: high(146, struct({ secret }), none),
  CONNECT_SECRET_EVENT_REGISTER_ANY: high(380, struct({ eventId: i32, secret: optional(secret) }), callback),
  CONNECT_SECRET_EVENT_DEREGISTER_ANY: high(381, callback, none),

  CONNECT_LIST_ALL_NODE_DEVICES: high(
    285,
    listRequest,
    struct({ devices: array(nodeDevice, 65_536), ret: u32 }),
  ),
  NODE_DEVICE_LOOKUP_BY_NAME: high(113, named, struct({ device: nodeDevice })),
  NODE_DEVICE_GET_XML_DESC: low(114, struct({ name: str, flags: u32 }), struct({ xml: str })),
  NODE_DEVICE_GET_PARENT: high(115, named, struct({ parent: optional(str) })),
  NODE_DEVICE_DETACH_FLAGS: low(301, struct({ name: str, driver: optional(str), flags: u32 }), none),
  NODE_DEVICE_RE_ATTACH: low(119, named, none),
  CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY: high(
    374,
    struct({ eventId: i32, device: optional(nodeDevice) }),
    callback,
  ),
  CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY: high(375, callback, none),

  CONNECT_LIST_ALL_NETWORKS: high(283, listRequest, struct({ networks: array(network, 16_384), ret: u32 })),
  NETWORK_LOOKUP_BY_NAME: high(46, named, struct({ network })),
  NETWORK_LOOKUP_BY_UUID: high(47, struct({ uuid }), struct({ network })),
  NETWORK_GET_XML_DESC: high(43, struct({ network, flags: u32 }), struct({ xml: str })),
  NETWORK_IS_ACTIVE: high(152, struct({ network }), struct({ active: i32 })),
  CONNECT_NETWORK_EVENT_REGISTER_ANY: high(
    313,
    struct({ eventId: i32, network: optional(network) }),
    callback,
  ),
  CONNECT_NETWORK_EVENT_DEREGISTER_ANY: high(314, callback, none),
  CONNECT_LIST_ALL_STORAGE_POOLS: high(281, listRequest, struct({ pools: array(network, 16_384), ret: u32 })),
  CONNECT_LIST_ALL_INTERFACES: high(
    284,
    listRequest,
    struct({ interfaces: array(struct({ name: str, mac: str }), 16_384), ret: u32 }),
  ),
} as const;
