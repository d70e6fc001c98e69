/**
 * The part of `<metadata>` that oVirt's programs own: `vm` of http://ovirt.org/vm/1.0 and `qos` of
 * http://ovirt.org/vm/tune/1.0, under whatever prefix they come. Other metadata is nobody's business here.
 */
import type { OvirtMetadata } from '../domain/devices.js';
import { boolean, decimal, defined, integer } from './domain-xml-values.js';
import type { XmlElement } from '../util/xml-tree.js';

const VM_NAMESPACE = 'http://ovirt.org/vm/1.0';
const TUNE_NAMESPACE = 'http://ovirt.org/vm/tune/1.0';

/** What the metadata says of a disk, by target device. */
export interface DiskMetadata {
  readonly imageId?: string;
  readonly lunGuid?: string;
}

export interface DomainMetadata {
  readonly vm: OvirtMetadata | undefined;
  readonly disks: ReadonlyMap<string, DiskMetadata>;
}

export function metadataOf(domain: XmlElement): DomainMetadata {
  const holder = domain.child('metadata');
  const find = (namespace: string, localName: string): XmlElement | undefined =>
    holder
      ?.children()
      .find(
        (each) => each.localName === localName && namespaceOf(each, [each, holder, domain]) === namespace,
      );
  const vm = find(VM_NAMESPACE, 'vm');
  if (!vm) return { vm: undefined, disks: new Map() };
  return { vm: vmMetadata(vm, find(TUNE_NAMESPACE, 'qos')), disks: diskMetadata(vm) };
}

/** @param scopes the element and its ancestors, innermost first */
function namespaceOf(element: XmlElement, scopes: readonly XmlElement[]): string | undefined {
  const colon = element.name.indexOf(':');
  const declaration = colon < 0 ? 'xmlns' : `xmlns:${element.name.slice(0, colon)}`;
  for (const scope of scopes) {
    const namespace = scope.attribute(declaration);
    if (namespace !== undefined) return namespace;
  }
  return undefined;
}

function vmMetadata(vm: XmlElement, qos: XmlElement | undefined): OvirtMetadata {
  const texts = textsByLocalName(vm);
  return defined({
    startTime: decimal(texts.get('startTime')),
    minGuaranteedMemoryMb: integer(texts.get('minGuaranteedMemoryMb')),
    ballooningEnabled: boolean(texts.get('ballooningEnabled')),
    balloonTargetKiB: integer(texts.get('balloonTarget')),
    launchPaused: boolean(texts.get('launchPaused')),
    resumeBehavior: texts.get('resumeBehavior'),
    exitCode: integer(texts.get('exitCode')),
    exitReason: integer(texts.get('exitReason')),
    exitMessage: texts.get('exitMessage'),
    pendingExitCode: integer(texts.get('pendingExitCode')),
    pendingExitReason: integer(texts.get('pendingExitReason')),
    pauseCode: texts.get('pauseCode'),
    pauseTimeSec: decimal(texts.get('pauseTime')),
    destroyOnReboot: boolean(texts.get('destroy_on_reboot')),
    blockJobs: texts.get('jobs'),
    snapshotJob: texts.get('snapshot_job'),
    vcpuLimit: qos && integer(textsByLocalName(qos).get('vcpuLimit')),
  });
}

function diskMetadata(vm: XmlElement): Map<string, DiskMetadata> {
  const disks = new Map<string, DiskMetadata>();
  for (const device of vm.children()) {
    const target = device.attribute('name');
    if (device.localName !== 'device' || device.attribute('devtype') !== 'disk' || !target) continue;
    const texts = textsByLocalName(device);
    disks.set(target, defined({ imageId: texts.get('imageID'), lunGuid: texts.get('GUID') }));
  }
  return disks;
}

/** Text of each child element; the first of a name counts. */
function textsByLocalName(parent: XmlElement): Map<string, string> {
  const texts = new Map<string, string>();
  for (const child of parent.children()) {
    if (!texts.has(child.localName)) texts.set(child.localName, child.text().trim());
  }
  return texts;
}
