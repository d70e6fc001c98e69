/**
 * Procedures that change a domain's life, devices, metadata, snapshots, block jobs and migration. A reply to a
 * detach only says that the request was sent: the device is gone at event device-removed.
 */
import { dom, snapshot } from './objects.js';
import { high, low, none, onDom, onDomFlags, qemu } from './procedure.js';
import { typedParams } from './typed-params.js';
import { array, i32, i64, opaque, optional, str, struct, u32, u64 } from './xdr-codecs.js';

const MAX_MIGRATION_COOKIE_BYTES = 4_194_304;
const cookie = opaque(MAX_MIGRATION_COOKIE_BYTES);
const domReply = struct({ dom });
const xmlReply = struct({ xml: str });
const xmlRequest = struct({ xml: str, flags: u32 });
const onDomXml = struct({ dom, xml: str, flags: u32 });
const onSnapshot = struct({ snapshot, flags: u32 });
const snapshotReply = struct({ snapshot });

export const lifecycleProcedures = {
  DOMAIN_CREATE_XML: low(10, xmlRequest, domReply),
  DOMAIN_DEFINE_XML: high(11, struct({ xml: str }), domReply),
  DOMAIN_DEFINE_XML_FLAGS: high(350, xmlRequest, domReply),
  DOMAIN_CREATE: low(9, onDom, none),
  DOMAIN_CREATE_WITH_FLAGS: low(196, onDomFlags, domReply),
  DOMAIN_UNDEFINE: high(35, onDom, none),
  DOMAIN_UNDEFINE_FLAGS: high(231, onDomFlags, none),
  DOMAIN_DESTROY: high(12, onDom, none),
  DOMAIN_DESTROY_FLAGS: high(234, onDomFlags, none),
  DOMAIN_SHUTDOWN: low(33, onDom, none),
  DOMAIN_SHUTDOWN_FLAGS: low(258, onDomFlags, none),
  DOMAIN_REBOOT: low(27, onDomFlags, none),
  DOMAIN_RESET: low(245, onDomFlags, none),
  DOMAIN_SUSPEND: low(34, onDom, none),
  DOMAIN_RESUME: low(28, onDom, none),
  DOMAIN_PM_SUSPEND_FOR_DURATION: low(261, struct({ dom, target: u32, duration: u64, flags: u32 }), none),
  DOMAIN_PM_WAKEUP: low(267, onDomFlags, none),
  DOMAIN_SAVE: low(55, struct({ dom, to: str }), none),
  DOMAIN_SAVE_FLAGS: low(232, struct({ dom, to: str, xml: optional(str), flags: u32 }), none),
  DOMAIN_SAVE_PARAMS: low(440, struct({ dom, params: typedParams(64), flags: u32 }), none),
  DOMAIN_RESTORE: low(54, struct({ from: str }), none),
  DOMAIN_RESTORE_FLAGS: low(233, struct({ from: str, xml: optional(str), flags: u32 }), none),
  DOMAIN_RESTORE_PARAMS: low(441, struct({ params: typedParams(64), flags: u32 }), none),
  DOMAIN_SAVE_IMAGE_GET_XML_DESC: high(235, struct({ file: str, flags: u32 }), xmlReply),
  DOMAIN_SAVE_IMAGE_DEFINE_XML: high(236, struct({ file: str, xml: str, flags: u32 }), none),
  DOMAIN_MANAGED_SAVE: low(182, onDomFlags, none),
  DOMAIN_MANAGED_SAVE_REMOVE: low(184, onDomFlags, none),
  DOMAIN_HAS_MANAGED_SAVE_IMAGE: low(183, onDomFlags, struct({ result: i32 })),
  DOMAIN_MANAGED_SAVE_GET_XML_DESC: low(388, onDomFlags, xmlReply),
  DOMAIN_CORE_DUMP_WITH_FORMAT: low(334, struct({ dom, to: str, format: u32, flags: u32 }), none),
} as const;

export const deviceProcedures = {
  DOMAIN_ATTACH_DEVICE_FLAGS: low(160, onDomXml, none),
  DOMAIN_DETACH_DEVICE_FLAGS: low(161, onDomXml, none),
  DOMAIN_UPDATE_DEVICE_FLAGS: low(174, onDomXml, none),
  DOMAIN_DETACH_DEVICE_ALIAS: low(392, struct({ dom, alias: str, flags: u32 }), none),
  // metadata absent: delete; key and uri only for type 2 (element)
  DOMAIN_SET_METADATA: low(
    264,
    struct({
      dom,
      type: i32,
      metadata: optional(str),
      key: optional(str),
      uri: optional(str),
      flags: u32,
    }),
    none,
  ),
  DOMAIN_GET_METADATA: low(
    265,
    struct({ dom, type: i32, uri: optional(str), flags: u32 }),
    struct({ metadata: str }),
  ),
} as const;

export const storageProcedures = {
  DOMAIN_SNAPSHOT_CREATE_XML: low(185, onDomXml, snapshotReply),
  DOMAIN_LIST_ALL_SNAPSHOTS: high(
    274,
    struct({ dom, needResults: i32, flags: u32 }),
    struct({ snapshots: array(snapshot, 16_384), ret: i32 }),
  ),
  DOMAIN_SNAPSHOT_NUM: high(187, onDomFlags, struct({ num: i32 })),
  DOMAIN_SNAPSHOT_LIST_NAMES: high(
    188,
    struct({ dom, maxNames: i32, flags: u32 }),
    struct({ names: array(str, 16_384) }),
  ),
  DOMAIN_SNAPSHOT_LOOKUP_BY_NAME: high(189, struct({ dom, name: str, flags: u32 }), snapshotReply),
  DOMAIN_SNAPSHOT_GET_XML_DESC: high(186, onSnapshot, xmlReply),
  DOMAIN_SNAPSHOT_CURRENT: low(191, onDomFlags, snapshotReply),
  DOMAIN_SNAPSHOT_GET_PARENT: high(244, onSnapshot, snapshotReply),
  DOMAIN_SNAPSHOT_DELETE: low(193, onSnapshot, none),
  DOMAIN_REVERT_TO_SNAPSHOT: low(192, onSnapshot, none),
  // bandwidth MiB/s unless a flag says bytes; base and top absent: whole chain, active image
  DOMAIN_BLOCK_COMMIT: low(
    290,
    struct({ dom, disk: str, base: optional(str), top: optional(str), bandwidth: u64, flags: u32 }),
    none,
  ),
  // params: ullong bandwidth (bytes/s), uint granularity, ullong buf-size
  DOMAIN_BLOCK_COPY: low(
    345,
    struct({ dom, path: str, destXml: str, params: typedParams(16), flags: u32 }),
    none,
  ),
  DOMAIN_BLOCK_PULL: low(240, struct({ dom, path: str, bandwidth: u64, flags: u32 }), none),
  DOMAIN_BLOCK_REBASE: low(
    266,
    struct({ dom, path: str, base: optional(str), bandwidth: u64, flags: u32 }),
    none,
  ),
  DOMAIN_BLOCK_JOB_ABORT: low(237, struct({ dom, path: str, flags: u32 }), none),
  // found 0: no job, which is no error
  DOMAIN_GET_BLOCK_JOB_INFO: low(
    238,
    struct({ dom, path: str, flags: u32 }),
    struct({ found: i32, type: i32, bandwidth: u64, cur: u64, end: u64 }),
  ),
  DOMAIN_BLOCK_JOB_SET_SPEED: low(239, struct({ dom, path: str, bandwidth: u64, flags: u32 }), none),
  // KiB unless flag bit 0 says bytes
  DOMAIN_BLOCK_RESIZE: low(251, struct({ dom, disk: str, size: u64, flags: u32 }), none),
  DOMAIN_SET_BLOCK_THRESHOLD: low(386, struct({ dom, device: str, threshold: u64, flags: u32 }), none),
  DOMAIN_FSFREEZE: low(
    335,
    struct({ dom, mountpoints: array(str, 256), flags: u32 }),
    struct({ filesystems: i32 }),
  ),
  DOMAIN_FSTHAW: low(
    336,
    struct({ dom, mountpoints: array(str, 256), flags: u32 }),
    struct({ filesystems: i32 }),
  ),
  DOMAIN_FSTRIM: low(294, struct({ dom, mountpoint: optional(str), minimum: u64, flags: u32 }), none),
} as const;

export const jobProcedures = {
  // Peer to peer: connectUri must be present, cookieIn empty, flags contain 2. Other argument sets were seen to
  // crash the daemon.
  DOMAIN_MIGRATE_PERFORM3_PARAMS: low(
    305,
    struct({ dom, connectUri: optional(str), params: typedParams(64), cookieIn: cookie, flags: u32 }),
    struct({ cookieOut: cookie }),
  ),
  // MiB/s; flag bit 0: post-copy
  DOMAIN_MIGRATE_SET_MAX_SPEED: low(207, struct({ dom, bandwidth: u64, flags: u32 }), none),
  DOMAIN_MIGRATE_GET_MAX_SPEED: low(242, onDomFlags, struct({ bandwidth: u64 })),
  // ms
  DOMAIN_MIGRATE_SET_MAX_DOWNTIME: low(166, struct({ dom, downtime: u64, flags: u32 }), none),
  DOMAIN_MIGRATE_GET_MAX_DOWNTIME: low(387, onDomFlags, struct({ downtime: u64 })),
  DOMAIN_MIGRATE_GET_COMPRESSION_CACHE: low(299, onDomFlags, struct({ cacheSize: u64 })),
  DOMAIN_MIGRATE_START_POST_COPY: low(364, onDomFlags, none),
  DOMAIN_ABORT_JOB: low(164, onDom, none),
  DOMAIN_ABORT_JOB_FLAGS: low(442, onDomFlags, none),
  // ms and bytes
  DOMAIN_GET_JOB_INFO: low(
    163,
    onDom,
    struct({
      type: i32,
      timeElapsed: u64,
      timeRemaining: u64,
      dataTotal: u64,
      dataProcessed: u64,
      dataRemaining: u64,
      memTotal: u64,
      memProcessed: u64,
      memRemaining: u64,
      fileTotal: u64,
      fileProcessed: u64,
      fileRemaining: u64,
    }),
  ),
  DOMAIN_GET_JOB_STATS: low(298, onDomFlags, struct({ type: i32, params: typedParams(64) })),
  // guest agent
  DOMAIN_GET_TIME: low(337, onDomFlags, struct({ seconds: i64, nseconds: u32 })),
  DOMAIN_SET_TIME: low(338, struct({ dom, seconds: i64, nseconds: u32, flags: u32 }), none),
  // holdTime ms
  DOMAIN_SEND_KEY: low(
    226,
    struct({ dom, codeSet: u32, holdTime: u32, keycodes: array(u32, 16), flags: u32 }),
    none,
  ),
  // a stream with the picture follows the reply
  DOMAIN_SCREENSHOT: low(211, struct({ dom, screen: u32, flags: u32 }), struct({ mimeType: optional(str) })),
  DOMAIN_INJECT_NMI: low(210, onDomFlags, none),
  DOMAIN_SET_USER_PASSWORD: low(
    357,
    struct({ dom, user: optional(str), password: optional(str), flags: u32 }),
    none,
  ),
  // seconds; -2 block, -1 default, 0 do not wait
  DOMAIN_AGENT_SET_RESPONSE_TIMEOUT: low(
    420,
    struct({ dom, timeout: i32, flags: u32 }),
    struct({ result: i32 }),
  ),
} as const;

export const qemuProcedures = {
  // A QMP error comes as a successful reply with `error` in the JSON. Waits for the monitor without limit.
  DOMAIN_MONITOR_COMMAND: qemu(1, struct({ dom, command: str, flags: u32 }), struct({ result: str })),
  DOMAIN_AGENT_COMMAND: qemu(
    3,
    struct({ dom, command: str, timeout: i32, flags: u32 }),
    struct({ result: optional(str) }),
  ),
  CONNECT_DOMAIN_MONITOR_EVENT_REGISTER: qemu(
    4,
    struct({ dom: optional(dom), event: optional(str), flags: u32 }),
    struct({ callbackId: i32 }),
    true,
  ),
  CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER: qemu(5, struct({ callbackId: i32 }), none, true),
} as const;
