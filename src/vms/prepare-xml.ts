/**
 * The domain XML that an engine sends, made into the one that libvirt gets: what VDSM does on the host (vm.py,
 * domxml_preprocess.py). Pure; what is to be done on the host's disks is in the result.
 *
 * - SMBIOS: `OS-NAME:`, `OS-VERSION:`, `HOST-SERIAL:` give way to this host's facts, or are left out.
 * - `<on_reboot>destroy` becomes destroy_on_reboot in the metadata: the agent does it, so that it can tell an engine why.
 * - The metadata get the start's mark, startTime: it makes the domain a managed one and tells its age to the next agent.
 *   What an earlier run has left there (exit record, pause) is taken out.
 * - A drive with a payload gets the path of the image that will be made for it.
 *
 * All else goes on as it came. What is not this host's, such as `LEASE-PATH:` or the network `;vdsmdummy;`, is libvirt's
 * to refuse.
 */
import { dirname, isAbsolute, normalize } from 'node:path';
import type { VmId } from '../domain/ids.js';
import type { HostIdentity, Payload } from '../domain/launch-files.js';
import { parseXmlForEdit, XmlNodeElement } from '../util/xml-edit.js';
import { ovirtNamespaces, putValues } from './ovirt-metadata.js';
import { payloadsOf } from './payload.js';
import { noRecord } from './record-values.js';

export interface StartFacts {
  readonly id: VmId;
  /** Wall clock, epoch seconds. */
  readonly startTimeSec: number;
  readonly identity: HostIdentity;
  /** Path of the image for a drive's payload. */
  readonly imagePath: (target: string) => string;
}

export interface PreparedXml {
  readonly xml: string;
  readonly payloads: readonly Payload[];
  /** Of sockets that QEMU listens on; absolute. */
  readonly folders: readonly string[];
}

/** @throws Error with one sentence that says what cannot be used */
export function prepareXml(xml: string, facts: StartFacts): PreparedXml {
  const domain = parseXmlForEdit(xml);
  fillSmbios(domain, facts.identity);
  const vm = ensureVm(domain);
  const isDestroyedOnReboot = takeOnReboot(domain);
  putValues(vm, {
    ...noRecord,
    startTime: facts.startTimeSec,
    ...(isDestroyedOnReboot && { destroy_on_reboot: true }),
  });
  const devices = domain.child('devices');
  const placed = payloadsOf(facts.id, vm, devices?.children('disk') ?? []);
  for (const { disk, payload } of placed) putImage(disk, facts.imagePath(payload.target));
  return {
    xml: String(domain),
    payloads: placed.map(({ payload }) => payload),
    folders: devices ? socketFolders(devices) : [],
  };
}

const placeholders: ReadonlyMap<string, keyof HostIdentity> = new Map([
  ['OS-NAME:', 'osName'],
  ['OS-VERSION:', 'osVersion'],
  ['HOST-SERIAL:', 'uuid'],
]);

function fillSmbios(domain: XmlNodeElement, identity: HostIdentity): void {
  for (const sysinfo of domain.children('sysinfo')) {
    for (const section of sysinfo.children()) {
      for (const entry of section.children('entry')) {
        const { text } = entry;
        const [, fact] = [...placeholders].find(([placeholder]) => text.startsWith(placeholder)) ?? [];
        if (fact === undefined) continue;
        if (identity[fact] === '') section.remove(entry);
        else entry.text = identity[fact];
      }
    }
  }
}

/** True where it said destroy; what else it says stays. */
function takeOnReboot(domain: XmlNodeElement): boolean {
  const found = domain.children('on_reboot').filter(({ text }) => text.trim() === 'destroy');
  for (const element of found) domain.remove(element);
  return found.length > 0;
}

/** oVirt's `vm` element, under whatever prefix it came; made where there is none. */
function ensureVm(domain: XmlNodeElement): XmlNodeElement {
  const holder = domain.ensure('metadata');
  const { uri, prefix, element } = ovirtNamespaces.vm;
  const found = holder
    .children()
    .find((each) => each.localName === element && namespaceOf(each, [each, holder, domain]) === uri);
  if (found) return found;
  const made = new XmlNodeElement(`${prefix}:${element}`, new Map([[`xmlns:${prefix}`, uri]]));
  holder.append(made);
  return made;
}

/** @param scopes the element and its ancestors, innermost first */
export function namespaceOf({ name }: XmlNodeElement, scopes: readonly XmlNodeElement[]): string | undefined {
  const colon = name.indexOf(':');
  const declaration = colon < 0 ? 'xmlns' : `xmlns:${name.slice(0, colon)}`;
  return scopes.map((scope) => scope.attribute(declaration)).find((uri) => uri !== undefined);
}

/** Attributes of a source that is no file. */
const otherSources = ['dev', 'dir', 'name', 'pool', 'protocol', 'volume'];

function putImage(disk: XmlNodeElement, path: string): void {
  disk.attributes.set('type', 'file');
  const source = disk.ensure('source');
  for (const name of otherSources) source.attributes.delete(name);
  source.attributes.set('file', path);
}

/** Devices that may be a socket of their own. */
const characterDevices: ReadonlySet<string> = new Set(['channel', 'console', 'parallel', 'serial']);

function socketFolders(devices: XmlNodeElement): string[] {
  const sockets = devices.children().flatMap((device): (string | undefined)[] => {
    if (device.name === 'graphics') {
      return [device, ...device.children('listen')].map((each) => each.attribute('socket'));
    }
    if (!characterDevices.has(device.name) || device.attribute('type') !== 'unix') return [];
    const source = device.child('source');
    return source?.attribute('mode') === 'connect' ? [] : [source?.attribute('path')];
  });
  const paths = sockets.filter((path) => path !== undefined && isAbsolute(path));
  return [...new Set(paths.map((path) => dirname(normalize(path ?? ''))))];
}
