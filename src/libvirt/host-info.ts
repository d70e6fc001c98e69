/** The port's HypervisorHostInfo, put together from libvirt's calls about the host. */
import type { CallOptions, HypervisorHostInfo } from '../domain/hypervisor.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { TypedCall } from './procedures.js';

/** libvirt's major * 1000000 + minor * 1000 + micro as text. */
export function versionText(version: number): string {
  return [Math.floor(version / 1_000_000), Math.floor(version / 1000) % 1000, version % 1000].join('.');
}

/**
 * @param quick carries calls that answer at once
 * @param slow carries those that may start an emulator
 */
export async function readHostInfo(
  quick: TypedCall,
  slow: TypedCall,
  options?: CallOptions,
): Promise<HypervisorHostInfo> {
  const [type, version, library, host, uri, node, capabilities, domainCapabilitiesXml] = await Promise.all([
    quick('CONNECT_GET_TYPE', undefined, options),
    quick('CONNECT_GET_VERSION', undefined, options),
    quick('CONNECT_GET_LIB_VERSION', undefined, options),
    quick('CONNECT_GET_HOSTNAME', undefined, options),
    quick('CONNECT_GET_URI', undefined, options),
    quick('NODE_GET_INFO', undefined, options),
    slow('CONNECT_GET_CAPABILITIES', undefined, options),
    domainCapabilities(slow, options),
  ]);
  return {
    hypervisorType: type.type,
    hypervisorVersion: versionText(version.version),
    libraryVersion: versionText(library.version),
    hostname: host.hostname,
    uri: uri.uri,
    node: {
      model: node.model,
      memoryKiB: node.memory,
      cpus: node.cpus,
      mhz: node.mhz,
      numaNodes: node.nodes,
      socketsPerNode: node.sockets,
      coresPerSocket: node.cores,
      threadsPerCore: node.threads,
    },
    capabilitiesXml: capabilities.capabilities,
    domainCapabilitiesXml,
  };
}

/** Not every driver has them, and a host may lack the default emulator: '' then, unless the connection is at fault. */
async function domainCapabilities(call: TypedCall, options?: CallOptions): Promise<string> {
  try {
    const reply = await call('CONNECT_GET_DOMAIN_CAPABILITIES', { flags: 0 }, options);
    return reply.capabilities;
  } catch (error) {
    const tolerated = error instanceof HypervisorError && ['unsupported', 'failed'].includes(error.kind);
    if (tolerated) return '';
    throw error;
  }
}
