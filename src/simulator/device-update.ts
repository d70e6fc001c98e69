/**
 * virDomainUpdateDeviceFlags on a configuration: media of removable drives, NICs, tickets of graphics. Rules and texts
 * as recorded from libvirt 9.0.
 */
import { AffectFlag } from '../libvirt/enumerations.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import { readDevice } from './device-parse.js';
import { findNic } from './device-change.js';
import { withDisk } from './domain-config.js';
import type { DiskConfig, DomainConfig } from './domain-config.js';
import { Fault } from './fault.js';
import { requireImage } from './image-file.js';
import { attributeAt, withAttributes } from './xml-text.js';

export interface DeviceUpdate {
  readonly config: DomainConfig;
  /** The drive whose tray moved. */
  readonly tray?: DiskConfig;
}

/** The two configurations differ in what may change. */
export type Which = Exclude<keyof typeof AffectFlag, 'current'>;

export function updateDevice(
  config: DomainConfig,
  element: XmlNodeElement,
  which: Which,
  nextNode: () => number,
): DeviceUpdate {
  const live = which === 'live';
  if (element.name === 'disk') return updateDisk(config, element, live, nextNode);
  if (element.name === 'interface') return { config: updateNic(config, element, live) };
  if (element.name === 'graphics') return { config: updateGraphics(config, element, live) };
  const kind = live ? 'live' : 'persistent';
  throw new Fault('operation-unsupported', `${kind} update of device '${element.name}' is not supported`);
}

function updateDisk(
  config: DomainConfig,
  element: XmlNodeElement,
  live: boolean,
  nextNode: () => number,
): DeviceUpdate {
  const target = attributeAt(element, 'target', 'dev') ?? '';
  const disk = config.disks.find((each) => each.target === target);
  if (!disk) throw new Fault('internal', `disk '${target}' not found`);
  const device = readDevice(element, []);
  if (device.kind !== 'disk') throw new Fault('internal', `disk '${target}' not found`);
  const { path, type, format, base } = device.disk;
  const removable = disk.device === 'cdrom' || disk.device === 'floppy';
  if (disk.path !== path && !removable) {
    throw new Fault('config-unsupported', 'disk source can be changed only in removable drives');
  }
  if (!removable) return { config };
  if (live) requireImage(path);
  const { index: _old, ...emptied } = disk;
  const index = live && path !== '' ? { index: nextNode() } : {};
  const changed = { ...emptied, ...index, path, type, format, backing: [], ...(base && { base }) };
  return { config: withDisk(config, changed), ...(disk.path !== path && { tray: changed }) };
}

/** Model and type stay; everything else is as the new element says. */
function updateNic(config: DomainConfig, element: XmlNodeElement, live: boolean): DomainConfig {
  const nic = findNic(config, element);
  const device = readDevice(element, []);
  if (device.kind !== 'nic') return config;
  const wanted = device.nic;
  if (live && wanted.model !== nic.model) {
    throw new Fault(
      'operation-unsupported',
      `cannot modify network device model from ${nic.model} to ${wanted.model}`,
    );
  }
  const type = nic.base?.attribute('type') ?? (nic.bridge === undefined ? 'ethernet' : 'bridge');
  const wantedType = element.attribute('type') ?? type;
  const networks = ['bridge', 'network'];
  if (live && wantedType !== type && !(networks.includes(type) && networks.includes(wantedType))) {
    throw new Fault('operation-unsupported', `unable to change config on '${wantedType}' network type`);
  }
  const { bridge: _old, ...others } = nic;
  const changed = {
    ...others,
    model: wanted.model,
    ...(wanted.bridge !== undefined && { bridge: wanted.bridge }),
    ...(wanted.base && { base: wanted.base }),
  };
  return { ...config, nics: config.nics.map((each) => (each === nic ? changed : each)) };
}

const TICKET = ['passwd', 'passwdValidTo', 'connected'];

/** Only the ticket of running graphics may change. */
function updateGraphics(config: DomainConfig, element: XmlNodeElement, live: boolean): DomainConfig {
  const type = element.attribute('type') ?? '';
  const graphics = config.others.find(
    ({ base }) => base.name === 'graphics' && base.attribute('type') === type,
  );
  if (!graphics) {
    throw new Fault('device-missing', `cannot find existing graphics device to modify of type '${type}'`);
  }
  const { base } = graphics;
  const passwd = element.attribute('passwd');
  if (live) checkTicket(base, element, type);
  if (passwd === undefined) return config;
  const without = Object.fromEntries(TICKET.map((name) => [name, undefined]));
  const ticket = Object.fromEntries(TICKET.map((name) => [name, element.attribute(name)]));
  // libvirt prints them last.
  const changed = { ...graphics, base: withAttributes(withAttributes(base, without), ticket) };
  return { ...config, others: config.others.map((each) => (each === graphics ? changed : each)) };
}

function checkTicket(base: XmlNodeElement, element: XmlNodeElement, type: string): void {
  const connected = element.attribute('connected') ?? 'keep';
  if (type === 'vnc' && connected !== 'keep') {
    throw new Fault('config-unsupported', "VNC supports connected='keep' only");
  }
  if (listenOf(element) !== listenOf(base)) {
    throw new Fault('operation-unsupported', `cannot change listen address setting on '${type}' graphics`);
  }
  if (isAuto(element) !== isAuto(base) || (!isAuto(element) && portOf(element) !== portOf(base))) {
    throw new Fault('operation-unsupported', `cannot change port settings on ${type} graphics`);
  }
  if (type === 'vnc' && element.attribute('passwd') !== undefined && base.attribute('passwd') === undefined) {
    throw new Fault('internal', "unable to execute QEMU command 'set_password': Could not set password");
  }
}

function listenOf(graphics: XmlNodeElement): string | undefined {
  return graphics.attribute('listen') ?? attributeAt(graphics, 'listen', 'address');
}

function portOf(graphics: XmlNodeElement): string {
  return graphics.attribute('port') ?? '-1';
}

/** The host chooses the port. */
function isAuto(graphics: XmlNodeElement): boolean {
  return graphics.attribute('autoport') === 'yes' || ['-1', '0'].includes(portOf(graphics));
}
