/**
 * Devices as elements of a domain's document, live or inactive: what was defined, with what the model knows better.
 */
import { xmlElement } from '../util/xml-edit.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import type { DiskConfig, DomainConfig, ImageConfig, NicConfig, OtherDevice } from './domain-config.js';
import { isAgentChannel } from './domain-config.js';
import { sourcePath } from './device-parse.js';
import { isUserAlias } from './live-config.js';
import { withAttributes, withChildren, withNodes } from './xml-text.js';

/** What a running domain has beyond its configuration. */
export interface LiveParts {
  /** virDomain id. */
  readonly id: number;
  /** Port of the first graphics; the next has the next. */
  readonly vncPort: number;
  readonly agentConnected: boolean;
  /** Block jobs that copy what the guest writes, by disk. */
  readonly mirrors: ReadonlyMap<string, Mirror>;
}

export interface Mirror {
  readonly image: ImageConfig;
  readonly ready: boolean;
}

interface Placed {
  readonly alias?: string;
  readonly address?: XmlNodeElement;
}

function aliasAndAddress({ alias, address }: Placed, live: boolean): XmlNodeElement[] {
  const shown = alias !== undefined && (live || isUserAlias(alias));
  return [...(shown ? [xmlElement('alias', { name: alias })] : []), ...(address ? [address] : [])];
}

const DISK_PARTS = ['driver', 'source', 'target', 'readonly'];

export function diskElement(disk: DiskConfig, live: LiveParts | undefined): XmlNodeElement {
  const base = disk.base ?? xmlElement('disk');
  const driver = withAttributes(base.child('driver') ?? xmlElement('driver'), {
    name: 'qemu',
    type: disk.format,
  });
  const readonly = base.child('readonly') ?? (disk.device === 'cdrom' ? xmlElement('readonly') : undefined);
  const mirror = live?.mirrors.get(disk.target);
  const children = [
    driver,
    ...(disk.path === '' ? [] : [sourceElement(disk, live !== undefined)]),
    ...(disk.path === '' ? [] : backingElement(disk.backing, live !== undefined)),
    ...(mirror ? [mirrorElement(mirror)] : []),
    withAttributes(base.child('target') ?? xmlElement('target'), { dev: disk.target, bus: disk.bus }),
    ...limitsElement(disk),
    ...(readonly ? [readonly] : []),
    ...(disk.serial === undefined ? [] : [xmlElement('serial', {}, disk.serial)]),
    ...base.children().filter(({ name }) => !DISK_PARTS.includes(name)),
    ...aliasAndAddress(disk, live !== undefined),
  ];
  const attributes = withAttributes(base, { type: disk.type, device: disk.device });
  return withNodes(attributes, children);
}

function imageSource(image: ImageConfig): XmlNodeElement {
  return xmlElement('source', { [image.type === 'block' ? 'dev' : 'file']: image.path });
}

function sourceElement(disk: DiskConfig, live: boolean): XmlNodeElement {
  const index = live && disk.index !== undefined ? String(disk.index) : undefined;
  const defined = disk.base?.child('source');
  const source =
    defined && sourcePath(defined) === disk.path
      ? defined
      : imageSource({ path: disk.path, type: disk.type === 'block' ? 'block' : 'file', format: disk.format });
  return withAttributes(source, { index });
}

/** A running domain's chain ends with an empty element; a definition tells only what it knows. */
function backingElement(backing: readonly ImageConfig[], live: boolean): XmlNodeElement[] {
  const [image, ...below] = backing;
  if (!image) return live ? [xmlElement('backingStore')] : [];
  const index = live && image.index !== undefined ? { index: String(image.index) } : {};
  return [
    xmlElement('backingStore', { type: image.type, ...index }, [
      xmlElement('format', { type: image.format }),
      imageSource(image),
      ...backingElement(below, live),
    ]),
  ];
}

function mirrorElement({ image, ready }: Mirror): XmlNodeElement {
  const state: Record<string, string> = ready ? { ready: 'yes' } : {};
  const index: Record<string, string> = image.index === undefined ? {} : { index: String(image.index) };
  return xmlElement('mirror', { type: image.type, job: 'active-commit', ...state }, [
    xmlElement('format', { type: image.format }),
    withAttributes(imageSource(image), index),
  ]);
}

function limitsElement({ limits }: DiskConfig): XmlNodeElement[] {
  const set = [...(limits ?? [])].filter(([, value]) => value !== 0 && value !== '');
  if (set.length === 0) return [];
  return [
    xmlElement(
      'iotune',
      {},
      set.map(([name, value]) => xmlElement(name, {}, String(value))),
    ),
  ];
}

const NIC_PARTS = ['mac', 'source', 'target', 'model'];

export function nicElement(nic: NicConfig, live: LiveParts | undefined): XmlNodeElement {
  const bridged = nic.bridge === undefined ? [] : [xmlElement('source', { bridge: nic.bridge })];
  const type = nic.bridge === undefined ? 'ethernet' : 'bridge';
  const base = nic.base ?? xmlElement('interface', { type }, bridged);
  const tap = live ? nic.tap : definedTap(base);
  return withNodes(base, [
    xmlElement('mac', { address: nic.mac }),
    ...base.children('source'),
    ...(tap === undefined ? [] : [xmlElement('target', { dev: tap })]),
    xmlElement('model', { type: nic.model }),
    ...base.children().filter(({ name }) => !NIC_PARTS.includes(name)),
    ...aliasAndAddress(nic, live !== undefined),
  ]);
}

/** libvirt does not keep a name that it would have given itself. */
function definedTap(base: XmlNodeElement): string | undefined {
  const name = base.child('target')?.attribute('dev');
  return name?.startsWith('vnet') ? undefined : name;
}

/** @param secure show passwords */
export function otherElements(
  config: DomainConfig,
  live: LiveParts | undefined,
  secure: boolean,
): XmlNodeElement[] {
  let graphics = 0;
  return config.others.flatMap((device) => {
    const ends = aliasAndAddress(device, live !== undefined);
    if (device.base.name === 'graphics') {
      return graphicsElement(device.base, live ? live.vncPort + graphics++ : undefined, secure);
    }
    if (device.base.name === 'memballoon') return balloonElement(config, device.base, ends);
    const base = live && isAgentChannel(device) ? agentChannel(config, device, live) : device.base;
    return withChildren(base, [], ends);
  });
}

function graphicsElement(base: XmlNodeElement, port: number | undefined, secure: boolean): XmlNodeElement {
  const hidden = secure ? {} : { passwd: undefined, passwdValidTo: undefined };
  const auto = (base.attribute('port') ?? '-1') === '-1';
  return withAttributes(base, { ...hidden, ...(port !== undefined && auto && { port: String(port) }) });
}

function balloonElement(
  { balloonPeriodSec }: DomainConfig,
  base: XmlNodeElement,
  ends: readonly XmlNodeElement[],
): XmlNodeElement[] {
  if (balloonPeriodSec === undefined) return [withChildren(base, ['stats'], ends)];
  const stats = balloonPeriodSec > 0 ? [xmlElement('stats', { period: String(balloonPeriodSec) })] : [];
  return [withChildren(base, ['stats'], [...stats, ...ends])];
}

function agentChannel(config: DomainConfig, { base }: OtherDevice, live: LiveParts): XmlNodeElement {
  const folder = '/var/lib/libvirt/qemu/channel/target';
  const path = `${folder}/domain-${live.id}-${config.name}/org.qemu.guest_agent.0`;
  const target = base.child('target') ?? xmlElement('target');
  return withNodes(base, [
    xmlElement('source', { mode: 'bind', path }),
    withAttributes(target, { state: live.agentConnected ? 'connected' : 'disconnected' }),
    ...base.children().filter(({ name }) => name !== 'source' && name !== 'target'),
  ]);
}
