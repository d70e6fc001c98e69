import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseCapabilities, parseUsableModels } from '../../../src/host/capabilities-xml.js';
import { capabilitiesXml, domainCapabilitiesXml } from './fixture.js';

describe("libvirt's capabilities", () => {
  it('give machines and KVM of the own architecture only', () => {
    const host = parseCapabilities(capabilitiesXml);
    assert.deepEqual(host?.machines, ['pc-i440fx-7.2', 'pc', 'pc-q35-7.2']);
    assert.equal(host.kvm, true);
    const without = parseCapabilities(capabilitiesXml.replace("<domain type='kvm'/>", ''));
    assert.equal(without?.kvm, false);
  });

  it('give identity, time stamp counter and IOMMU', () => {
    const host = parseCapabilities(capabilitiesXml);
    assert.deepEqual(
      [host?.uuid, host?.arch, host?.tscFrequency, host?.tscScaling, host?.iommu],
      ['11111111-59d9-45d1-8a08-461c30a2184a', 'x86_64', '2596136000', false, true],
    );
  });

  it('give NUMA cells with their distances', () => {
    assert.deepEqual(parseCapabilities(capabilitiesXml)?.cells, [
      { id: 0, memoryKiB: 5204184, cpus: [0], distances: [10, 21] },
      { id: 1, memoryKiB: 2048, cpus: [1, 2], distances: [21, 10] },
    ]);
  });

  it('give the place of every CPU, or of none where one is not told', () => {
    assert.deepEqual(parseCapabilities(capabilitiesXml)?.topology?.[2], {
      cpu_id: 2,
      socket_id: 1,
      die_id: 0,
      core_id: 0,
      numa_cell_id: 1,
    });
    const offline = capabilitiesXml.replace(
      "<cpu id='2' socket_id='1' die_id='0' core_id='0' siblings='1-2'/>",
      "<cpu id='2'/>",
    );
    assert.equal(parseCapabilities(offline)?.topology, undefined);
  });

  it('give the CPU models that are usable, not that of host-model', () => {
    assert.deepEqual(parseUsableModels(domainCapabilitiesXml), ['Nehalem', 'EPYC']);
  });

  it('give nothing where the document is absent or another', () => {
    for (const xml of ['', '<domain/>', '<capabilities', 'no XML']) {
      assert.equal(parseCapabilities(xml), undefined);
      assert.deepEqual(parseUsableModels(xml), []);
    }
    assert.deepEqual(parseCapabilities('<capabilities><host/></capabilities>')?.machines, []);
  });

  it('never make the parser throw, however broken', () => {
    const mangled = fc
      .tuple(
        fc.constantFrom(capabilitiesXml, domainCapabilitiesXml),
        fc.nat(2500),
        fc.string({ maxLength: 9 }),
        fc.nat(200),
      )
      .map(([xml, at, insert, cut]) => xml.slice(0, at) + insert + xml.slice(at + cut));
    fc.assert(
      fc.property(fc.oneof(fc.string(), mangled), (xml) => {
        parseCapabilities(xml);
        assert.ok(Array.isArray(parseUsableModels(xml)));
      }),
    );
  });
});
