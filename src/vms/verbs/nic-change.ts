/**
 * VM.updateDevice of a NIC: what its caller wants changed, and the NIC's element with that change in it. Pure.
 *
 * What is not named stays. No network ('' or oVirt's dummy bridge) takes the link away and leaves the NIC where it is
 * plugged in, so that nothing of the guest reaches any network.
 */
import { VerbError } from '../../domain/errors.js';
import { xmlElement } from '../../util/xml-edit.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import { dropChildren, putChild } from './live-devices.js';
import {
  countMember,
  flagMember,
  isObject,
  listMember,
  objectMember,
  requireText,
  textMember,
} from './members.js';
import type { OpenObject } from './members.js';

export interface NicChange {
  readonly linkUp?: boolean;
  /** A bridge, or a network of the hypervisor where the NIC is on one. */
  readonly network?: string;
  /** null: none from now on. */
  readonly filter?: {
    readonly name: string;
    readonly parameters: readonly (readonly [string, string])[];
  } | null;
  readonly mtu?: number;
  /** KiB/s and KiB by libvirt's attribute names; null: no limit from now on. */
  readonly inbound?: Bandwidth | null;
  readonly outbound?: Bandwidth | null;
}

type Bandwidth = Readonly<Record<string, string>>;

/** oVirt's name for "plugged into nothing". */
const DUMMY_BRIDGE = ';vdsmdummy;';
const bandwidthAttributes = ['average', 'peak', 'burst', 'floor'];

/**
 * @param params linkActive, network, filter with filterParameters, mtu, specParams with inbound and outbound
 * @throws VerbError noimpl (portMirroring), invalidParameter
 */
export function nicChangeOf(params: OpenObject): NicChange {
  const mirrored = params['portMirroring'];
  if (Array.isArray(mirrored) ? mirrored.length > 0 : (mirrored ?? '') !== '') {
    throw new VerbError('noimpl', 'portMirroring of a NIC is not offered by this agent');
  }
  const network = textMember(params, 'network');
  const linkUp = flagMember(params, 'linkActive');
  const mtu = countMember(params, 'mtu');
  const filter = textMember(params, 'filter');
  const isNowhere = network === '' || network === DUMMY_BRIDGE;
  return {
    ...(isNowhere ? { linkUp: false } : linkUp !== undefined && { linkUp }),
    ...(network !== undefined && !isNowhere && { network }),
    ...(filter !== undefined && {
      filter: filter === '' ? null : { name: filter, parameters: filterParametersOf(params) },
    }),
    ...(mtu !== undefined && mtu > 0 && { mtu }),
    ...bandwidthsOf(objectMember(params, 'specParams') ?? {}),
  };
}

/** @throws VerbError updateDevice where the NIC is on no network that could be changed */
export function changeNic(nic: XmlNodeElement, change: NicChange): XmlNodeElement {
  const { linkUp, network, filter, mtu } = change;
  if (linkUp !== undefined) putChild(nic, xmlElement('link', { state: linkUp ? 'up' : 'down' }));
  if (network !== undefined) putNetwork(nic, network);
  if (filter !== undefined) dropChildren(nic, 'filterref');
  if (filter) {
    const parameters = filter.parameters.map(([name, value]) => xmlElement('parameter', { name, value }));
    nic.append(xmlElement('filterref', { filter: filter.name }, parameters));
  }
  if (mtu !== undefined) putChild(nic, xmlElement('mtu', { size: String(mtu) }));
  putBandwidth(nic, 'inbound', change.inbound);
  putBandwidth(nic, 'outbound', change.outbound);
  return nic;
}

/** What may be changed of a NIC in use; the rest is what libvirt compares, to know that the same NIC is meant. */
const CHANGEABLE = new Set(['source', 'link', 'filterref', 'mtu', 'bandwidth']);

/** The caller's element of a NIC, with what it does not say of the NIC's identity taken from the live one. */
export function completedNic(given: XmlNodeElement, live: XmlNodeElement): XmlNodeElement {
  for (const child of live.children()) {
    if (!CHANGEABLE.has(child.name) && !given.child(child.name)) given.append(child);
  }
  const type = live.attribute('type');
  if (given.attribute('type') === undefined && type !== undefined) given.attributes.set('type', type);
  return given;
}

function putNetwork(nic: XmlNodeElement, network: string): void {
  const type = nic.attribute('type') ?? '';
  if (type !== 'bridge' && type !== 'network') {
    throw new VerbError('updateDevice', `a NIC of type ${type} is on no network that could be changed`);
  }
  // A new source: the port and the bridge of the old network do not go with it.
  putChild(nic, xmlElement('source', { [type]: network }));
}

function filterParametersOf(params: OpenObject): (readonly [string, string])[] {
  return (listMember(params, 'filterParameters') ?? []).map(
    (parameter) => [requireText(parameter, 'name'), textMember(parameter, 'value') ?? ''] as const,
  );
}

function bandwidthsOf(specParams: OpenObject): Pick<NicChange, 'inbound' | 'outbound'> {
  const of = (direction: string): Bandwidth | null | undefined => {
    const given = specParams[direction];
    if (given === undefined) return undefined;
    if (!isObject(given) || Object.keys(given).length === 0) return null;
    const counts = bandwidthAttributes.map((name) => [name, countMember(given, name)] as const);
    return Object.fromEntries(
      counts.flatMap(([name, count]) => (count === undefined ? [] : [[name, String(count)]])),
    );
  };
  const inbound = of('inbound');
  const outbound = of('outbound');
  return { ...(inbound !== undefined && { inbound }), ...(outbound !== undefined && { outbound }) };
}

function putBandwidth(
  nic: XmlNodeElement,
  direction: 'inbound' | 'outbound',
  limits: Bandwidth | null | undefined,
): void {
  if (limits === undefined) return;
  const bandwidth = nic.ensure('bandwidth');
  dropChildren(bandwidth, direction);
  if (limits) bandwidth.append(xmlElement(direction, limits));
  // Its absence lifts the limits.
  if (bandwidth.children().length === 0) nic.remove(bandwidth);
}
