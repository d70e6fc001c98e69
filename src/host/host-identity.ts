/** Who this host is to its VMs, and whom QEMU runs as here. Pure. */
import type { HostIdentity } from '../domain/launch-files.js';
import { hostUuid, type CapabilityFacts } from './capabilities.js';
import { parseCapabilities } from './capabilities-xml.js';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** @param capabilitiesXml libvirt's; undefined while it was never reached */
export function identityOf(
  facts: Pick<CapabilityFacts, 'dmiUuid' | 'dmiPresent' | 'machineId' | 'osRelease'>,
  capabilitiesXml: string | undefined,
): HostIdentity {
  const host = capabilitiesXml === undefined ? undefined : parseCapabilities(capabilitiesXml);
  const { osRelease } = facts;
  const version = [osRelease.get('VERSION_ID'), osRelease.get('VERSION_CODENAME')];
  return {
    osName: osRelease.get('NAME') ?? '',
    osVersion: version.filter((part) => part !== undefined && part !== '').join('-'),
    uuid: hostUuid(facts, host) ?? '',
  };
}

/** The DAC label that libvirt gives KVM domains: numbers of a user and a group. */
export function qemuOwnerOf(capabilitiesXml: string): Owner | undefined {
  const [dac] = /<model>dac<\/model>[^]*?<\/secmodel>/.exec(capabilitiesXml) ?? [];
  const [, uid, gid] = /<baselabel type=['"]kvm['"]>\+(\d+):\+(\d+)</.exec(dac ?? '') ?? [];
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}
