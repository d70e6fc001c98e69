/**
 * Handlers of connection, authentication and host: the part of the daemon that knows no domain.
 */
import { hostname } from 'node:os';
import { eventPackets } from '../libvirt/domain-events.js';
import type { Handlers } from './call.js';
import { Fault } from './fault.js';
import { capabilitiesXml, domainCapabilitiesXml } from './host-xml.js';

/** 9.0.0 and 7.2.22: major * 1000000 + minor * 1000 + micro. */
const LIBRARY_VERSION = 9_000_000;
const QEMU_VERSION = 7_002_022;
/** Features that a QEMU driver of 9.0 affirms. */
const FEATURES = new Set([3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const KEEPALIVE_FEATURE = 10;
const URIS = ['qemu:///system', 'qemu:///session'];

export const node = {
  model: 'x86_64',
  memoryKiB: 512 * 2 ** 20,
  cpus: 64,
  mhz: 2600,
  numaNodes: 1,
  socketsPerNode: 2,
  coresPerSocket: 16,
  threadsPerCore: 2,
} as const;

const freeMemoryKiB = Math.floor(node.memoryKiB / 4);

export const connectionHandlers = {
  AUTH_LIST: () => ({ types: [0] }),
  AUTH_POLKIT() {
    throw new Fault('internal', 'client tried invalid PolicyKit init request');
  },
  CONNECT_OPEN({ session }, { name, flags }) {
    if (session.uri !== undefined) throw new Fault('internal', 'connection already open');
    if (name === undefined) throw new Fault('internal', 'a name is required');
    const uri = name === '' ? URIS[0]! : name;
    if (!URIS.includes(uri)) throw new Fault('no-connect', uri);
    session.uri = uri;
    session.readOnly ||= (flags & 1) !== 0;
  },
  CONNECT_CLOSE({ session }) {
    session.closeAfterReply();
  },
  CONNECT_SUPPORTS_FEATURE({ session }, { feature }) {
    if (feature === KEEPALIVE_FEATURE) session.startKeepalive();
    else if (session.uri === undefined) throw new Fault('internal', 'hypervisor connection not open');
    return { supported: FEATURES.has(feature) ? 1 : 0 };
  },
  CONNECT_GET_TYPE: () => ({ type: 'QEMU' }),
  CONNECT_GET_VERSION: () => ({ version: QEMU_VERSION }),
  CONNECT_GET_LIB_VERSION: () => ({ version: LIBRARY_VERSION }),
  CONNECT_GET_HOSTNAME: () => ({ hostname: hostname() }),
  CONNECT_GET_URI: ({ session }) => ({ uri: session.uri ?? '' }),
  CONNECT_GET_CAPABILITIES: ({ host }) => ({ capabilities: capabilitiesXml(host.seed, node) }),
  CONNECT_GET_DOMAIN_CAPABILITIES: (_call, { machine }) => ({
    capabilities: domainCapabilitiesXml(machine ?? 'pc-q35-7.2'),
  }),
  CONNECT_GET_MAX_VCPUS: () => ({ maxVcpus: 255 }),
  CONNECT_GET_SYSINFO() {
    throw new Fault('unsupported', 'Host SMBIOS information is not available');
  },
  CONNECT_REGISTER_CLOSE_CALLBACK: () => undefined,
  CONNECT_UNREGISTER_CLOSE_CALLBACK: () => undefined,
  CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY({ session }, { eventId, dom }) {
    if (!Object.values(eventPackets).some((packet) => packet.eventId === eventId)) {
      throw new Fault('internal', `unsupported event ID ${eventId}`);
    }
    return { callbackId: session.registerEvent(eventId, dom?.uuid) };
  },
  CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY({ session }, { callbackId }) {
    session.deregisterEvent(callbackId);
  },

  NODE_GET_INFO: () => ({
    model: node.model,
    memory: node.memoryKiB,
    cpus: node.cpus,
    mhz: node.mhz,
    nodes: node.numaNodes,
    sockets: node.socketsPerNode,
    cores: node.coresPerSocket,
    threads: node.threadsPerCore,
  }),
  NODE_GET_CPU_STATS({ host }, { nparams }) {
    const busySec = host.uptimeSec * node.cpus;
    const shares: readonly (readonly [string, number])[] = [
      ['kernel', 0.04],
      ['user', 0.2],
      ['idle', 0.75],
      ['iowait', 0.01],
    ];
    if (nparams === 0) return { params: [], nparams: shares.length };
    if (nparams !== shares.length)
      throw new Fault('invalid-argument', `nparams in virNodeGetCPUStats must be equal to 4`);
    const params = shares.map(([field, share]) => ({ field, value: Math.floor(busySec * share * 1e9) }));
    return { params, nparams };
  },
  NODE_GET_MEMORY_STATS(_call, { nparams }) {
    const params = [
      { field: 'total', value: node.memoryKiB },
      { field: 'free', value: freeMemoryKiB },
      { field: 'buffers', value: 2 ** 20 },
      { field: 'cached', value: 2 ** 24 },
    ];
    return { params: nparams === 0 ? [] : params.slice(0, nparams), nparams: params.length };
  },
  NODE_GET_FREE_MEMORY: () => ({ freeMemory: freeMemoryKiB * 1024 }),
} as const satisfies Handlers;
