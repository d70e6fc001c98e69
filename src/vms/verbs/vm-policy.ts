/**
 * A VM's policy in `<ovirt-tune:qos>` of its metadata: `vcpuLimit`, and `ioTune` with a `device` per disk that has
 * `guaranteed` and `maximum` limits. The agent keeps it for a policy program and enforces nothing. Pure.
 */
import type { DiskLimits } from '../../domain/hypervisor-verbs.js';
import { parseXmlForEdit, xmlElement } from '../../util/xml-edit.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import { basicLimits } from './disk-limits.js';

export interface DiskPolicy {
  readonly name: string;
  readonly path: string;
  readonly guaranteed: DiskLimits;
  readonly maximum: DiskLimits;
}

export interface PolicyChange {
  /** Per cent. */
  readonly vcpuLimit?: number;
  /** Take the place of the policies of the same disks. */
  readonly disks?: readonly DiskPolicy[];
}

/** @param qos element of MetadataStore.edit: names without prefixes */
export function changePolicy(qos: XmlNodeElement, { vcpuLimit, disks = [] }: PolicyChange): void {
  if (vcpuLimit !== undefined) qos.ensure('vcpuLimit').text = String(vcpuLimit);
  if (disks.length === 0) return;
  const ioTune = qos.ensure('ioTune');
  for (const disk of disks) {
    for (const old of ioTune.children('device')) if (isSameDisk(old, disk)) ioTune.remove(old);
    ioTune.append(
      xmlElement('device', { name: disk.name, path: disk.path }, [
        limitsElement('guaranteed', disk.guaranteed),
        limitsElement('maximum', disk.maximum),
      ]),
    );
  }
}

/** @param qos under whatever prefix; undefined: no policy */
export function diskPoliciesOf(qos: XmlNodeElement | undefined): DiskPolicy[] {
  return childrenOf(qos, 'ioTune')
    .flatMap((ioTune) => childrenOf(ioTune, 'device'))
    .map((device) => ({
      name: device.attribute('name') ?? '',
      path: device.attribute('path') ?? '',
      guaranteed: limitsOf(device, 'guaranteed'),
      maximum: limitsOf(device, 'maximum'),
    }));
}

/** The same out of a whole domain's XML; cheap where it has none. */
export function diskPoliciesIn(domainXml: string): DiskPolicy[] {
  // libvirt's own limits are spelt in lower case.
  if (!domainXml.includes('ioTune')) return [];
  const metadata = /<metadata\b[^<>]*>[^]*?<\/metadata>/.exec(domainXml)?.[0];
  if (metadata === undefined) return [];
  const qos = parseXmlForEdit(metadata)
    .children()
    .find(({ localName }) => localName === 'qos');
  return diskPoliciesOf(qos);
}

function isSameDisk(device: XmlNodeElement, { name, path }: DiskPolicy): boolean {
  const same = (attribute: string, wanted: string): boolean =>
    wanted !== '' && device.attribute(attribute) === wanted;
  return same('name', name) || same('path', path);
}

function limitsElement(name: string, limits: DiskLimits): XmlNodeElement {
  return xmlElement(
    name,
    {},
    Object.entries(limits).map(([limit, value]) => xmlElement(limit, {}, String(value))),
  );
}

function limitsOf(device: XmlNodeElement, name: string): Record<string, number> {
  const [holder] = childrenOf(device, name);
  return Object.fromEntries(
    basicLimits.flatMap((limit): [string, number][] => {
      const text = childrenOf(holder, limit)[0]?.text.trim() ?? '';
      return /^\d{1,15}$/.test(text) ? [[limit, Number(text)]] : [];
    }),
  );
}

function childrenOf(parent: XmlNodeElement | undefined, localName: string): XmlNodeElement[] {
  return parent?.children().filter((child) => child.localName === localName) ?? [];
}
