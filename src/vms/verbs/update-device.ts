/**
 * VM.updateDevice and VM.setTicket: a console's ticket, or a NIC's link, network, filter, limits.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import type { VerbInput } from '../../protocol/verbs.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import { nameOf } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { operateWithOwnCode } from './own-code.js';
import { disconnectOrder } from './console-disconnect.js';
import type { ConsoleDisconnects } from './console-disconnect.js';
import { existingConnActions, setTicket } from './graphics-ticket.js';
import type { Ticket } from './graphics-ticket.js';
import { deviceOfDocument } from './hotplug-document.js';
import { aliasOf, liveDevices, macOf, refreshAfterChange } from './live-devices.js';
import { countMember, flagMember, objectMember, requireText, textMember } from './members.js';
import type { OpenObject } from './members.js';
import { changeNic, completedNic, nicChangeOf } from './nic-change.js';

const VERB = 'VM.updateDevice';

/** @throws VerbError ticketErr, missParam (fips), noimpl (fips), invalidParameter, and those of every operation */
export async function setConsoleTicket(
  parts: OperationsParts,
  id: VmId,
  { password, ttl, existingConnAction, params }: VerbInput<'VM.setTicket'>,
): Promise<void> {
  const request = { id, verb: 'VM.setTicket', otherwise: 'ticketErr', evenMigrating: true } as const;
  checkFips(params);
  await operateWithOwnCode(parts, request, (vm) =>
    changeTicket(parts, vm, { password, ttlSec: ttl, existingConnAction }, params),
  );
}

/**
 * @throws VerbError missParam (deviceType, alias, password ...), noimpl (other devices, portMirroring), ticketErr,
 *   updateDevice, invalidParameter, and those of every operation
 */
export async function updateDevice(
  parts: OperationsParts,
  consoles: ConsoleDisconnects,
  id: VmId,
  params: OpenObject,
): Promise<void> {
  const deviceType = requireText(params, 'deviceType');
  if (deviceType === 'graphics') return updateConsole(parts, consoles, id, params);
  if (deviceType === 'interface') return updateNic(parts, id, params);
  throw new VerbError('noimpl', `a device of type ${deviceType} cannot be updated`);
}

async function updateConsole(
  parts: OperationsParts,
  consoles: ConsoleDisconnects,
  id: VmId,
  params: OpenObject,
): Promise<void> {
  if (params['xml'] !== undefined) throw new VerbError('noimpl', 'a console cannot be updated by xml');
  const user = objectMember(params, 'params') ?? {};
  checkFips(user);
  const ticket = ticketOf(params);
  const action = textMember(params, 'disconnectAction');
  const order = action === undefined ? undefined : disconnectOrder(action, delayMinOf(params));
  const request = { id, verb: VERB, otherwise: 'ticketErr', evenMigrating: true } as const;
  await operateWithOwnCode(parts, request, async (vm) => {
    await changeTicket(parts, vm, ticket, user);
    if (order) consoles.set(id, order);
  });
}

function ticketOf(params: OpenObject): Ticket {
  const { password } = params;
  if (typeof password !== 'string') throw new VerbError('missParam', 'password');
  const ttlSec = countMember(params, 'ttl');
  if (ttlSec === undefined) throw new VerbError('missParam', 'ttl');
  const word = textMember(params, 'existingConnAction');
  const existingConnAction = existingConnActions.find((each) => each === word);
  if (word !== undefined && existingConnAction === undefined) {
    throw new VerbError(
      'invalidParameter',
      `existingConnAction must be one of ${existingConnActions.join(', ')}`,
    );
  }
  const graphicsType = requireText(params, 'graphicsType').toLowerCase();
  return { password, ttlSec, graphicsType, ...(existingConnAction && { existingConnAction }) };
}

function delayMinOf(params: OpenObject): number {
  return countMember(params, 'consoleDisconnectActionDelay') ?? 0;
}

/** With it VDSM sets a SASL password, since VNC's own is forbidden then. */
function checkFips(user: OpenObject): void {
  let fips: boolean | undefined;
  try {
    fips = flagMember(user, 'fips');
  } catch {
    throw new VerbError('missParam', 'fips must be true or false');
  }
  if (fips) throw new VerbError('noimpl', 'passwords of VNC by SASL (fips) are not offered by this agent');
}

async function changeTicket(parts: OperationsParts, vm: Vm, ticket: Ticket, user: OpenObject): Promise<void> {
  await setTicket(parts, vm, ticket);
  const { userName, userId } = user;
  const { graphicsType, ttlSec } = ticket;
  parts.log.info(
    { vmId: vm.id, name: vm.name, graphicsType, ttlSec, userName, userId },
    'The ticket of a console was set',
  );
}

async function updateNic(parts: OperationsParts, id: VmId, params: OpenObject): Promise<void> {
  const xml = textMember(params, 'xml');
  const given = xml === undefined ? undefined : deviceOfDocument(xml, 'interface');
  const wanted = given
    ? { alias: aliasOf(given), mac: macOf(given) }
    : { alias: requireText(params, 'alias') };
  const change = nicChangeOf(params);
  const request = { id, verb: VERB, otherwise: 'updateDevice', evenMigrating: true } as const;
  await operateWithOwnCode(parts, request, async (vm) => {
    const { devices } = await liveDevices(parts, id);
    const nic = requireNic(vm, devices, wanted);
    if (Object.keys(objectMember(params, 'custom') ?? {}).length > 0) {
      parts.log.info(
        { vmId: id, name: vm.name, alias: aliasOf(nic) },
        'Custom properties of a NIC: no effect here',
      );
    }
    const changed = given ? completedNic(given, nic) : changeNic(nic, change);
    await parts.hypervisor.devices.update(id, String(changed), { force: false, persist: true });
    await refreshAfterChange(parts, id);
  });
}

function requireNic(
  vm: Vm,
  devices: readonly XmlNodeElement[],
  { alias, mac = '' }: { readonly alias: string; readonly mac?: string },
): XmlNodeElement {
  const nics = devices.filter(({ name }) => name === 'interface');
  const found =
    nics.find((nic) => alias !== '' && aliasOf(nic) === alias) ??
    nics.find((nic) => mac !== '' && macOf(nic) === mac);
  if (found) return found;
  const what = [alias && `alias ${alias}`, mac && `address ${mac}`].filter(Boolean).join(' or ');
  const present = nics.map(aliasOf).join(', ') || 'none';
  throw new VerbError(
    'updateDevice',
    `${nameOf(vm)} has no NIC with ${what || 'no name'}; it has: ${present}`,
  );
}
