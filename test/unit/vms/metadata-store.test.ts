import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import type { MetadataCalls } from '../../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../../src/domain/ids.js';
import type { Vm } from '../../../src/domain/vm.js';
import { parseXmlForEdit, xmlElement } from '../../../src/util/xml-edit.js';
import { MetadataStore } from '../../../src/vms/metadata-store.js';
import { putValues } from '../../../src/vms/ovirt-metadata.js';
import { fakeId } from '../../support/fake-domain.js';

const id = fakeId(1);
const VM_URI = 'http://ovirt.org/vm/1.0';

/** Metadata of one domain, as libvirt keeps it: live while it runs, and in its definition. */
class OneDomain implements MetadataCalls {
  live: string | undefined;
  definition: string | undefined;
  readonly sets: string[] = [];
  running = true;
  failure: Error | undefined;

  async get(_id: VmId, uri: string, from: 'live' | 'definition'): Promise<string | undefined> {
    await this.#check(from);
    assert.equal(uri, VM_URI);
    return this[from];
  }

  async set(
    _id: VmId,
    { prefix, xml }: Parameters<MetadataCalls['set']>[1],
    into: 'both' | 'definition',
  ): Promise<void> {
    await this.#check(into);
    this.sets.push(`${prefix} ${into} ${xml ?? ''}`);
    this.definition = xml;
    if (into === 'both') this.live = xml;
  }

  async #check(place: string): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.failure) throw this.failure;
    if (place !== 'definition' && !this.running) throw new HypervisorError('invalid-state', 'not running');
  }
}

function storeOf(domain: OneDomain, vm: Partial<Vm> = { internal: 'Up', external: false }): MetadataStore {
  return new MetadataStore({ hypervisor: { metadata: domain }, vms: { get: () => vm as Vm } });
}

describe('the metadata store', () => {
  it('types values as VDSM does, replaces and removes them, and leaves the rest alone', async () => {
    const domain = new OneDomain();
    domain.live =
      '<vm><device devtype="disk" name="vda"/><exitReason type="int">7</exitReason><gone>1</gone></vm>';
    await storeOf(domain).setValues(id, {
      exitReason: 6,
      startTime: 1.5,
      destroy_on_reboot: true,
      exitMessage: 'a < b',
      gone: undefined,
    });
    const expected =
      '<vm><device devtype="disk" name="vda"/><exitReason type="int">6</exitReason>' +
      '<startTime type="float">1.5</startTime><destroy_on_reboot type="bool">true</destroy_on_reboot>' +
      '<exitMessage>a &lt; b</exitMessage></vm>';
    assert.deepEqual(domain.sets, [`ovirt-vm both ${expected}`]);
  });

  it('makes the element where there is none, and writes nothing where nothing changes', async () => {
    const domain = new OneDomain();
    const store = storeOf(domain);
    await store.setValues(id, { exitCode: undefined });
    assert.deepEqual(domain.sets, []);
    await store.setValues(id, { exitCode: 1 });
    await store.setValues(id, { exitCode: 1 });
    assert.deepEqual(domain.sets, ['ovirt-vm both <vm><exitCode type="int">1</exitCode></vm>']);
  });

  for (const [record, running] of [
    ['Down', false],
    ['Up', false],
    ['Down', true],
  ] as const) {
    it(`writes where the domain is: the record says ${record}, it ${running ? 'runs' : 'is off'}`, async () => {
      const domain = new OneDomain();
      domain.running = running;
      await storeOf(domain, { internal: record, external: false }).setValues(id, { exitCode: 0 });
      assert.equal(domain.definition, '<vm><exitCode type="int">0</exitCode></vm>');
    });
  }

  it('makes one change at a time, so that none is lost', async () => {
    const domain = new OneDomain();
    const store = storeOf(domain);
    const append = (name: string): Promise<void> =>
      store.edit(id, 'vm', (element) => element.append(xmlElement(name)));
    await Promise.all([append('a'), append('b'), append('c')]);
    assert.equal(domain.live, '<vm><a/><b/><c/></vm>');
  });

  it('goes on after a change that failed, and tells its caller alone', async () => {
    const domain = new OneDomain();
    const store = storeOf(domain);
    const broken = store.edit(id, 'vm', () => {
      throw new Error('no such device');
    });
    const fine = store.setValues(id, { a: 1 });
    await assert.rejects(broken, /no such device/);
    await fine;
    domain.failure = new HypervisorError('unavailable', 'not connected');
    await assert.rejects(store.setValues(id, { a: 2 }), { kind: 'unavailable' });
    domain.failure = undefined;
    assert.equal(domain.live, '<vm><a type="int">1</a></vm>');
  });

  it('refuses more changes of one VM than it holds', async () => {
    const store = storeOf(new OneDomain());
    const changes = Array.from({ length: 101 }, (_, n) => store.setValues(id, { a: n }));
    const results = await Promise.allSettled(changes);
    assert.deepEqual(
      results.flatMap(({ status }, index) => (status === 'rejected' ? [index] : [])),
      [100],
    );
    await store.setValues(id, { a: 1 });
  });

  it("leaves an external domain's metadata alone", async () => {
    const domain = new OneDomain();
    await storeOf(domain, { internal: 'Up', external: true }).setValues(id, { balloonTarget: 1 });
    assert.deepEqual(domain.sets, []);
  });
});

describe("values of oVirt's metadata", () => {
  it('can be any text: what XML cannot hold is replaced', () => {
    const xmlText = /^[\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]*$/u;
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const element = xmlElement('vm');
        putValues(element, { exitMessage: text });
        const written = String(element);
        assert.match(written, xmlText);
        const read = parseXmlForEdit(written).child('exitMessage')?.text;
        if (xmlText.test(text)) assert.equal(read, text.replace(/\r\n?/g, '\n'));
      }),
    );
  });

  it("get the element's own prefix", () => {
    const element = xmlElement('ovirt-vm:vm', {}, [xmlElement('ovirt-vm:exitCode', {}, '1')]);
    putValues(element, { exitCode: 0, 'name.with.dots': 'x' });
    const expected =
      '<ovirt-vm:vm><ovirt-vm:exitCode type="int">0</ovirt-vm:exitCode>' +
      '<ovirt-vm:name.with.dots>x</ovirt-vm:name.with.dots></ovirt-vm:vm>';
    assert.equal(String(element), expected);
  });
});
