/** A started harness with one running VM that has the devices which the device verbs work on. */
import assert from 'node:assert/strict';
import { VerbError } from '../../../../src/domain/errors.js';
import type { Vm } from '../../../../src/domain/vm.js';
import type { XmlNodeElement } from '../../../../src/util/xml-edit.js';
import { parseXmlForEdit } from '../../../../src/util/xml-edit.js';
import { fakeId } from '../../../support/fake-domain.js';
import type { FakeDomain } from '../../../support/fake-domain.js';
import { withVm } from '../harness.js';
import type { Harness } from '../harness.js';

export const ID = fakeId(1);

export const NIC =
  `<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/>` +
  `<model type='virtio'/><alias name='ua-nic'/></interface>`;
export const CD =
  `<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/iso/old.iso'/>` +
  `<target dev='hdc' bus='ide'/><readonly/><alias name='ua-cd'/></disk>`;
export const VNC = `<graphics type='vnc' port='5901' autoport='yes'><listen type='address' address='127.0.0.1'/></graphics>`;
export const SPICE = `<graphics type='spice' port='5902' autoport='yes'/>`;

export function deviceHarness(devices = NIC + CD + VNC, metadata = ''): Promise<Harness> {
  return withVm({ balloon: true, devices, metadata });
}

export function fakeDomain(harness: Harness): FakeDomain {
  const domain = harness.hypervisor.domains.get(ID);
  assert.ok(domain);
  return domain;
}

/** The device of an alias in the live XML, or in the definition. */
export function deviceOf(
  harness: Harness,
  alias: string,
  place: 'live' | 'definition' = 'live',
): XmlNodeElement | undefined {
  return parseXmlForEdit(fakeDomain(harness)[place] ?? '<none/>')
    .child('devices')
    ?.children()
    .find((device) => device.child('alias')?.attribute('name') === alias);
}

/** oVirt's `vm` element of the live metadata, without the namespace's declaration. */
export function metadataText(harness: Harness): string {
  const xml = fakeDomain(harness).live ?? '';
  return (/<metadata[^>]*>[^]*<\/metadata>/.exec(xml)?.[0] ?? '').replaceAll(/ xmlns:[\w-]+="[^"]*"/g, '');
}

export async function rejectsWith(promise: Promise<unknown>, code: number, text = /./): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof VerbError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  });
}

export function vmOf(harness: Harness): Vm {
  return harness.vm(ID);
}
