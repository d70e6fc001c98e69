/**
 * A running VM's devices as its live XML has them now: what a change starts from, and what the record and Host.dumpxmls
 * must show before the verb that changed them answers, since an engine asks for the XML at once.
 */
import type { DomainDescription } from '../../domain/devices.js';
import type { VmId } from '../../domain/ids.js';
import { parseXmlForEdit } from '../../util/xml-edit.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import type { OperationsParts } from '../operation.js';
import { updateDescription } from '../refresher.js';

export interface LiveDevices {
  readonly domain: DomainDescription;
  /** Elements of `<devices>`: a copy that may be changed. */
  readonly devices: readonly XmlNodeElement[];
}

/** Reads them anew, the record may be behind. @throws HypervisorError */
export async function liveDevices(
  { hypervisor }: Pick<OperationsParts, 'hypervisor'>,
  id: VmId,
): Promise<LiveDevices> {
  const domain = await hypervisor.describe(id);
  return { domain, devices: devicesIn(domain.xml) };
}

/** Elements of `<devices>` of a domain's XML. */
export function devicesIn(domainXml: string): XmlNodeElement[] {
  return parseXmlForEdit(domainXml).child('devices')?.children() ?? [];
}

/** Puts the live XML as it is now into the record. @throws HypervisorError */
export async function refreshDescription(
  { hypervisor, registry }: Pick<OperationsParts, 'hypervisor' | 'registry'>,
  id: VmId,
): Promise<DomainDescription> {
  const domain = await hypervisor.describe(id);
  updateDescription(registry, domain);
  return domain;
}

/**
 * The same after a change that has happened: where it cannot be read now, the change's own event has it read later, and
 * the verb has not failed.
 */
export async function refreshAfterChange(
  parts: Pick<OperationsParts, 'hypervisor' | 'registry' | 'log'>,
  id: VmId,
): Promise<void> {
  try {
    await refreshDescription(parts, id);
  } catch (error) {
    parts.log.warn({ vmId: id, err: error }, "A changed VM's XML could not be read; it is read at its event");
  }
}

export function aliasOf(device: XmlNodeElement): string {
  return device.child('alias')?.attribute('name') ?? '';
}

/** `<target dev>`: of disks the name in the guest, of NICs the host's tap. */
export function targetOf(device: XmlNodeElement): string {
  return device.child('target')?.attribute('dev') ?? '';
}

/** Lower case, as addresses are compared. */
export function macOf(device: XmlNodeElement): string {
  return device.child('mac')?.attribute('address')?.toLowerCase() ?? '';
}

/** Lays `child` in place of the one of its name, or at the end. */
export function putChild(device: XmlNodeElement, child: XmlNodeElement): void {
  dropChildren(device, child.name);
  device.append(child);
}

export function dropChildren(device: XmlNodeElement, ...names: readonly string[]): void {
  for (const child of device.children()) if (names.includes(child.name)) device.remove(child);
}
