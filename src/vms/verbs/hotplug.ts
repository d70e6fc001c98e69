/**
 * Plugging devices into a running VM and out of it again.
 *
 * In: the device's metadata go first, so that whoever sees the device finds them, and are taken back if it is not
 * plugged in; a device that is there already is an answer that was lost, and no error. Out: the guest is asked and
 * waited for; one that lets go later still has the metadata taken away then. A guest that does not let go keeps the
 * device, and may be asked again.
 */
import type { DomainDescription } from '../../domain/devices.js';
import { VerbError } from '../../domain/errors.js';
import type { ErrorKey } from '../../domain/errors.js';
import { isUnanswered } from '../../domain/hypervisor-failure.js';
import { HypervisorError } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import type { DeviceWaits, RemovalWait } from '../device-waits.js';
import { nameOf } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { operateWithOwnCode } from './own-code.js';
import { namesOfDevice, putDevices, removeDevice, restoreDevices } from './device-metadata.js';
import type { DeviceNames } from './device-metadata.js';
import { parseHotplugDocument } from './hotplug-document.js';
import type { HotplugDocument, HotplugKind } from './hotplug-document.js';
import {
  aliasOf,
  dropChildren,
  liveDevices,
  refreshAfterChange,
  refreshDescription,
} from './live-devices.js';
import { findDevice, isThere } from './same-device.js';

/** VDSM: vars.hotunplug_timeout. */
const UNPLUG_LIMIT_MS = 30_000;

export interface HotplugVerb {
  readonly verb: string;
  readonly kind: HotplugKind;
  readonly otherwise: ErrorKey;
}

export interface Plugged {
  /** With the device in it. */
  readonly domain: DomainDescription;
  readonly names: DeviceNames;
}

/** @throws VerbError missParam, invalidParameter, noimpl, `otherwise`, and those of every operation */
export function plugIn(parts: OperationsParts, id: VmId, what: HotplugVerb, xml: string): Promise<Plugged> {
  const document = parseHotplugDocument(xml, what.kind);
  checkPluggable(document);
  return operateWithOwnCode(parts, { id, verb: what.verb, otherwise: what.otherwise }, async (vm) => {
    const { devices } = await liveDevices(parts, id);
    if (!isThere(devices, document.device)) await attach(parts, vm, document);
    return { domain: await refreshDescription(parts, id), names: namesOfDevice(document.device) };
  });
}

async function attach(parts: OperationsParts, vm: Vm, { device, metadata }: HotplugDocument): Promise<void> {
  const { id } = vm;
  let old: readonly XmlNodeElement[] = [];
  if (metadata.length > 0) {
    await parts.metadata.edit(id, 'vm', (element) => {
      old = putDevices(element, metadata);
    });
  }
  try {
    await parts.hypervisor.devices.attach(id, String(device));
  } catch (error) {
    const isDefinite = !isUnanswered(error);
    if (isDefinite && metadata.length > 0) {
      await tidy(parts, vm, (element) => restoreDevices(element, metadata, old));
    }
    throw error;
  }
}

/**
 * Resolves when the device is gone.
 * @throws VerbError missParam, invalidParameter, noimpl, `otherwise`, down, and those of every operation
 */
export async function plugOut(
  parts: OperationsParts,
  waits: DeviceWaits,
  request: { readonly id: VmId; readonly what: HotplugVerb; readonly xml: string },
): Promise<void> {
  const { id, what, xml } = request;
  const { device } = parseHotplugDocument(xml, what.kind);
  await operateWithOwnCode(parts, { id, verb: what.verb, otherwise: what.otherwise }, async (vm) => {
    const present = await requirePresent(parts, vm, device, what);
    const wait = await askToLetGo(parts, waits, vm, present);
    const how = wait && (await within(parts, wait, UNPLUG_LIMIT_MS));
    if (how === 'vm-ended') throw new VerbError('down', { vmId: id });
    // Its event may have been lost with the connection to the hypervisor.
    const { devices } = await liveDevices(parts, id);
    if (devices.some((each) => aliasOf(each) === aliasOf(present))) {
      throw new VerbError(what.otherwise, keptText(vm, present, how === 'refused'));
    }
    wait?.cancel();
    await forget(parts, vm, present);
    await refreshAfterChange(parts, id);
  });
}

/** Only asks; what becomes of it is seen in the VM's XML. @throws as plugOut */
export async function askOut(
  parts: OperationsParts,
  waits: DeviceWaits,
  request: { readonly id: VmId; readonly what: HotplugVerb; readonly xml: string },
): Promise<void> {
  const { id, what, xml } = request;
  const { device } = parseHotplugDocument(xml, what.kind);
  await operateWithOwnCode(parts, { id, verb: what.verb, otherwise: what.otherwise }, async (vm) => {
    await askToLetGo(parts, waits, vm, await requirePresent(parts, vm, device, what));
  });
}

/**
 * Whenever the guest lets go, be it after the verb's answer, the metadata of the device go, too.
 * @returns undefined where the device was gone already
 */
async function askToLetGo(
  parts: OperationsParts,
  waits: DeviceWaits,
  vm: Vm,
  device: XmlNodeElement,
): Promise<RemovalWait | undefined> {
  const wait = waits.removal(vm.id, aliasOf(device));
  try {
    await parts.hypervisor.devices.detach(vm.id, String(withoutPlace(device)));
  } catch (error) {
    wait.cancel();
    // Gone between the look and the call: just what was wanted.
    if (error instanceof HypervisorError && error.kind === 'no-device') return undefined;
    throw error;
  }
  const fields = { vmId: vm.id, name: vm.name, device: device.name, alias: aliasOf(device) };
  void wait.end.then((how) => {
    parts.log.info({ ...fields, how }, 'A guest was asked to let go of a device');
    return how === 'removed' ? forget(parts, vm, device) : undefined;
  });
  return wait;
}

/** The definition may have given the device another place; what it is told by there is enough for both. */
function withoutPlace(device: XmlNodeElement): XmlNodeElement {
  if (device.name !== 'memory') dropChildren(device, 'address');
  return device;
}

async function within(
  { clock }: OperationsParts,
  { end }: RemovalWait,
  limitMs: number,
): Promise<Awaited<RemovalWait['end']> | 'late'> {
  let cancel: () => void = () => undefined;
  const late = new Promise<'late'>((resolve) => (cancel = clock.after(limitMs, () => resolve('late'))));
  return Promise.race([end, late]).finally(cancel);
}

async function forget(parts: OperationsParts, vm: Vm, device: XmlNodeElement): Promise<void> {
  await tidy(parts, vm, (element) => void removeDevice(element, namesOfDevice(device)));
}

/** What stays behind where this fails is laid over by the next device of that name. */
async function tidy(
  { metadata, log }: OperationsParts,
  { id, name }: Vm,
  change: (element: XmlNodeElement) => void,
): Promise<void> {
  try {
    await metadata.edit(id, 'vm', change);
  } catch (error) {
    log.warn(
      { vmId: id, name, err: error },
      'The metadata of a device that is not there could not be removed',
    );
  }
}

/** @throws VerbError missParam, noimpl */
function checkPluggable({ device, metadata }: HotplugDocument): void {
  const { mac, target } = namesOfDevice(device);
  if (device.name === 'interface' && mac === '')
    throw new VerbError('missParam', 'the NIC has no <mac address>');
  if (device.name === 'disk' && target === '')
    throw new VerbError('missParam', 'the disk has no <target dev>');
  if (metadata.some((each) => (each.child('portMirroring')?.children().length ?? 0) > 0)) {
    throw new VerbError('noimpl', 'portMirroring of a NIC is not offered by this agent');
  }
}

async function requirePresent(
  parts: OperationsParts,
  vm: Vm,
  wanted: XmlNodeElement,
  { kind, otherwise }: HotplugVerb,
): Promise<XmlNodeElement> {
  const { devices } = await liveDevices(parts, vm.id);
  const present = findDevice(devices, wanted);
  if (present) return present;
  const names = devices.filter(({ name }) => name === kind).map(aliasOf);
  throw new VerbError(
    otherwise,
    `${nameOf(vm)} has no ${kind} like the one in the document; it has: ${names.join(', ') || 'none'}`,
  );
}

function keptText(vm: Vm, device: XmlNodeElement, isRefused: boolean): string {
  const what = `the ${device.name} ${aliasOf(device)}`;
  if (isRefused) return `${nameOf(vm)} keeps ${what}: the guest refuses to let go of it`;
  return (
    `${nameOf(vm)} keeps ${what}: the guest did not let go of it within ${UNPLUG_LIMIT_MS / 1000} s. A guest without a ` +
    'running kernel that knows hot-plug never does; otherwise ask again'
  );
}
