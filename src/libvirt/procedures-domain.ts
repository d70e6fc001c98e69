/**
 * Procedures that find, describe, measure and tune domains. Memory is KiB, times are ns, flags are 0 unless a
 * caller knows better. "Two-step": a call with nparams 0 answers the count, a second one asks for that many.
 */
import { MAX_DOMAINS, dom, domainStatsRecords } from './objects.js';
import { high, low, none, onDom, onDomFlags } from './procedure.js';
import { typedParams } from './typed-params.js';
import { array, charList, i32, i64, opaque, optional, str, struct, u32, u64, uuid } from './xdr-codecs.js';

const MAX_INTERFACES = 2048;
const MAX_CPU_MAPS_BYTES = 8_388_608;
const cpuMap = opaque(2048);
const paramsReply = (max: number) => struct({ params: typedParams(max) });
const countedParamsReply = (max: number) => struct({ params: typedParams(max), nparams: i32 });
const setParams = (max: number) => struct({ dom, params: typedParams(max), flags: u32 });
const securityLabel = { label: charList(4097), enforcing: i32 };

export const findProcedures = {
  // needResults 0: an empty list, the count in ret
  CONNECT_LIST_ALL_DOMAINS: high(
    273,
    struct({ needResults: i32, flags: u32 }),
    struct({ domains: array(dom, MAX_DOMAINS), ret: u32 }),
  ),
  DOMAIN_LOOKUP_BY_UUID: high(24, struct({ uuid }), struct({ dom })),
  DOMAIN_LOOKUP_BY_NAME: high(23, struct({ name: str }), struct({ dom })),
  DOMAIN_LOOKUP_BY_ID: high(22, struct({ id: i32 }), struct({ dom })),
  DOMAIN_GET_INFO: low(16, onDom, struct({ state: u32, maxMem: u64, memory: u64, vcpus: u32, cpuTime: u64 })),
  DOMAIN_GET_STATE: high(212, onDomFlags, struct({ state: i32, reason: i32 })),
  // stateTime ms; never blocks: this is how a stuck monitor is seen
  DOMAIN_GET_CONTROL_INFO: high(229, onDomFlags, struct({ state: u32, details: u32, stateTime: u64 })),
  DOMAIN_GET_XML_DESC: low(14, onDomFlags, struct({ xml: str })),
  DOMAIN_IS_ACTIVE: high(150, onDom, struct({ active: i32 })),
  DOMAIN_IS_PERSISTENT: high(151, onDom, struct({ persistent: i32 })),
  DOMAIN_GET_OS_TYPE: high(19, onDom, struct({ type: str })),
  DOMAIN_GET_AUTOSTART: high(15, onDom, struct({ autostart: i32 })),
  DOMAIN_SET_AUTOSTART: high(29, struct({ dom, autostart: i32 }), none),
  DOMAIN_GET_MAX_MEMORY: high(17, onDom, struct({ memory: u64 })),
  DOMAIN_GET_MAX_VCPUS: high(18, onDom, struct({ num: i32 })),
  DOMAIN_GET_SECURITY_LABEL: high(121, onDom, struct(securityLabel)),
  DOMAIN_GET_SECURITY_LABEL_LIST: high(
    278,
    onDom,
    struct({ labels: array(struct(securityLabel), 64), ret: i32 }),
  ),
  DOMAIN_GET_MESSAGES: low(426, onDomFlags, struct({ messages: array(str, 2048) })),
  // inactive domains only
  DOMAIN_RENAME: low(358, struct({ dom, newName: optional(str), flags: u32 }), struct({ ret: i32 })),
} as const;

export const statsProcedures = {
  // doms empty: all that pass the filter flags; otherwise those, in order, unknown ones left out
  CONNECT_GET_ALL_DOMAIN_STATS: low(
    344,
    struct({ doms: array(dom, MAX_DOMAINS), stats: u32, flags: u32 }),
    struct({ records: domainStatsRecords }),
  ),
  DOMAIN_MEMORY_STATS: low(
    159,
    struct({ dom, maxStats: u32, flags: u32 }),
    struct({ stats: array(struct({ tag: i32, value: u64 }), 1024) }),
  ),
  // bytes
  DOMAIN_GET_BLOCK_INFO: low(
    194,
    struct({ dom, path: str, flags: u32 }),
    struct({ allocation: u64, capacity: u64, physical: u64 }),
  ),
  // errs -1: unknown
  DOMAIN_BLOCK_STATS: low(
    64,
    struct({ dom, path: str }),
    struct({ rdReq: i64, rdBytes: i64, wrReq: i64, wrBytes: i64, errs: i64 }),
  ),
  // two-step; path '' is the sum of all disks
  DOMAIN_BLOCK_STATS_FLAGS: low(
    243,
    struct({ dom, path: str, nparams: i32, flags: u32 }),
    countedParamsReply(16),
  ),
  // device: host tap name
  DOMAIN_INTERFACE_STATS: high(
    65,
    struct({ dom, device: str }),
    struct({
      rxBytes: i64,
      rxPackets: i64,
      rxErrs: i64,
      rxDrop: i64,
      txBytes: i64,
      txPackets: i64,
      txErrs: i64,
      txDrop: i64,
    }),
  ),
  // two-step; startCpu -1 and ncpus 1 is the total
  DOMAIN_GET_CPU_STATS: low(
    262,
    struct({ dom, nparams: u32, startCpu: i32, ncpus: u32, flags: u32 }),
    struct({ params: typedParams(2048), nparams: i32 }),
  ),
  DOMAIN_GET_VCPUS: high(
    20,
    struct({ dom, maxInfo: i32, mapLength: i32 }),
    struct({
      info: array(struct({ number: u32, state: i32, cpuTime: u64, cpu: i32 }), 16_384),
      cpuMaps: opaque(MAX_CPU_MAPS_BYTES),
    }),
  ),
  DOMAIN_GET_VCPUS_FLAGS: low(200, onDomFlags, struct({ num: i32 })),
  DOMAIN_GET_VCPU_PIN_INFO: low(
    230,
    struct({ dom, count: i32, mapLength: i32, flags: u32 }),
    struct({ cpuMaps: opaque(MAX_CPU_MAPS_BYTES), num: i32 }),
  ),
  // two-step; only disks with an error are listed: 1 unspecified, 2 no space
  DOMAIN_GET_DISK_ERRORS: low(
    263,
    struct({ dom, maxErrors: u32, flags: u32 }),
    struct({ errors: array(struct({ disk: str, error: i32 }), 256), nerrors: i32 }),
  ),
  // source 0 lease, 1 agent, 2 ARP; address type 0 IPv4, 1 IPv6
  DOMAIN_INTERFACE_ADDRESSES: low(
    353,
    struct({ dom, source: u32, flags: u32 }),
    struct({
      interfaces: array(
        struct({
          name: str,
          mac: optional(str),
          addresses: array(struct({ type: i32, address: str, prefix: u32 }), MAX_INTERFACES),
        }),
        MAX_INTERFACES,
      ),
    }),
  ),
  DOMAIN_GET_GUEST_INFO: low(418, struct({ dom, types: u32, flags: u32 }), paramsReply(2048)),
  DOMAIN_GET_GUEST_VCPUS: low(371, onDomFlags, paramsReply(64)),
  DOMAIN_GET_IOTHREAD_INFO: low(
    351,
    onDomFlags,
    struct({ threads: array(struct({ id: u32, cpuMap }), 16_384), ret: u32 }),
  ),
  DOMAIN_GET_FSINFO: low(
    349,
    onDomFlags,
    struct({
      filesystems: array(struct({ mountpoint: str, name: str, type: str, aliases: array(str, 256) }), 256),
      ret: u32,
    }),
  ),
  // seconds; the result comes with the statistics group DIRTYRATE
  DOMAIN_START_DIRTY_RATE_CALC: low(427, struct({ dom, seconds: i32, flags: u32 }), none),
} as const;

export const tuningProcedures = {
  DOMAIN_GET_SCHEDULER_TYPE: low(56, onDom, struct({ type: str, nparams: i32 })),
  DOMAIN_GET_SCHEDULER_PARAMETERS: low(57, struct({ dom, nparams: i32 }), paramsReply(16)),
  // not two-step: ask 16
  DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS: low(223, struct({ dom, nparams: i32, flags: u32 }), paramsReply(16)),
  DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS: low(219, setParams(16), none),
  DOMAIN_GET_BLOCK_IO_TUNE: low(
    253,
    struct({ dom, disk: optional(str), nparams: i32, flags: u32 }),
    countedParamsReply(32),
  ),
  DOMAIN_SET_BLOCK_IO_TUNE: low(252, struct({ dom, disk: str, params: typedParams(32), flags: u32 }), none),
  DOMAIN_SET_MEMORY_FLAGS: low(204, struct({ dom, memory: u64, flags: u32 }), none),
  // seconds
  DOMAIN_SET_MEMORY_STATS_PERIOD: low(308, struct({ dom, period: i32, flags: u32 }), none),
  DOMAIN_SET_VCPUS_FLAGS: low(199, struct({ dom, vcpus: u32, flags: u32 }), none),
  // cpus: list text such as '1-2'; state 1 online, 0 offline
  DOMAIN_SET_VCPU: low(384, struct({ dom, cpus: str, state: i32, flags: u32 }), none),
  DOMAIN_SET_GUEST_VCPUS: low(372, struct({ dom, cpus: str, state: i32, flags: u32 }), none),
  DOMAIN_PIN_VCPU_FLAGS: low(225, struct({ dom, vcpu: u32, cpuMap, flags: u32 }), none),
  DOMAIN_PIN_VCPU: low(26, struct({ dom, vcpu: u32, cpuMap }), none),
  DOMAIN_PIN_EMULATOR: low(279, struct({ dom, cpuMap, flags: u32 }), none),
  DOMAIN_SET_MEMORY_PARAMETERS: low(197, setParams(16), none),
  DOMAIN_SET_PERF_EVENTS: low(366, setParams(64), none),
  DOMAIN_SET_LIFECYCLE_ACTION: low(390, struct({ dom, type: u32, action: u32, flags: u32 }), none),
} as const;
