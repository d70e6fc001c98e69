import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { parseXmlForEdit } from '../../../../src/util/xml-edit.js';
import { changeNic, nicChangeOf } from '../../../../src/vms/verbs/nic-change.js';
import { deviceHarness, deviceOf, fakeDomain, ID, NIC, rejectsWith, vmOf } from './device-fixture.js';

const nicParams = (more: Readonly<Record<string, unknown>>) => ({
  params: { deviceType: 'interface', alias: 'ua-nic', ...more },
});
const changed = (params: Readonly<Record<string, unknown>>, nic = NIC): string =>
  String(changeNic(parseXmlForEdit(nic), nicChangeOf(params)))
    .replace(/^<interface[^>]*>/, '')
    .replace('<mac address="52:54:00:00:00:01"/>', '')
    .replace('<model type="virtio"/><alias name="ua-nic"/>', '')
    .replace('</interface>', '');

describe('a change of a NIC', () => {
  it('is of what is named, and leaves the rest', () => {
    const bridge = '<source bridge="br0"/>';
    assert.equal(changed({}), bridge);
    assert.equal(changed({ linkActive: 'false' }), `${bridge}<link state="down"/>`);
    assert.equal(changed({ linkActive: true }), `${bridge}<link state="up"/>`);
    assert.equal(changed({ network: 'br1' }), '<source bridge="br1"/>');
    assert.equal(changed({ mtu: 9000 }), `${bridge}<mtu size="9000"/>`);
  });

  it('cuts the link where there is no network, and does not move the NIC', () => {
    for (const network of ['', ';vdsmdummy;']) {
      assert.equal(changed({ network, linkActive: true }), '<source bridge="br0"/><link state="down"/>');
    }
  });

  it('puts filters with their parameters, and takes them away', () => {
    const filterParameters = [
      { name: 'IP', value: '10.0.0.1' },
      { name: 'IP', value: '10.0.0.2' },
    ];
    const withFilter = changed({ filter: 'clean', filterParameters });
    assert.equal(
      withFilter,
      '<source bridge="br0"/><filterref filter="clean"><parameter name="IP" value="10.0.0.1"/>' +
        '<parameter name="IP" value="10.0.0.2"/></filterref>',
    );
    const filtered = NIC.replace('</interface>', `<filterref filter='old'/></interface>`);
    assert.match(changed({ linkActive: true }, filtered), /<filterref filter="old"\/>/);
    assert.doesNotMatch(changed({ filter: '' }, filtered), /filterref/);
  });

  it('puts limits of bandwidth, and lifts them', () => {
    const limited = changed({ specParams: { inbound: { average: 1000, peak: '2000', burst: 64 } } });
    assert.match(limited, /<bandwidth><inbound average="1000" peak="2000" burst="64"\/><\/bandwidth>/);
    const nic = NIC.replace(
      '</interface>',
      `<bandwidth><inbound average='1'/><outbound average='2'/></bandwidth></interface>`,
    );
    assert.match(
      changed({ specParams: { inbound: {} } }, nic),
      /<bandwidth><outbound average="2"\/><\/bandwidth>/,
    );
    assert.doesNotMatch(changed({ specParams: { inbound: {}, outbound: {} } }, nic), /bandwidth/);
  });

  it('moves a NIC of a libvirt network to another of these, without the port of the old one', () => {
    const nic = `<interface type='network'><source network='a' portid='1' bridge='virbr0'/></interface>`;
    assert.equal(
      String(changeNic(parseXmlForEdit(nic), nicChangeOf({ network: 'b' }))),
      '<interface type="network"><source network="b"/></interface>',
    );
  });
});

describe('VM.updateDevice of a NIC', () => {
  it('changes the running domain and its definition, and the record is fresh when it answers', async () => {
    const harness = await deviceHarness();
    const before = vmOf(harness).domain?.devicesHash;
    assert.deepEqual(await harness.run('VM.updateDevice', ID, nicParams({ linkActive: false })), {});
    for (const place of ['live', 'definition'] as const) {
      assert.equal(deviceOf(harness, 'ua-nic', place)?.child('link')?.attribute('state'), 'down');
    }
    assert.equal(vmOf(harness).domain?.xml, fakeDomain(harness).live);
    assert.notEqual(vmOf(harness).domain?.devicesHash, before);
  });

  it('takes the XML of a NIC, which need not say what cannot change', async () => {
    const harness = await deviceHarness();
    const xml = `<interface><mac address='52:54:00:00:00:01'/><source bridge='br7'/><link state='down'/></interface>`;
    await harness.run('VM.updateDevice', ID, { params: { deviceType: 'interface', xml } });
    const [call] = harness.hypervisor.callsOf('devices.update');
    assert.match(
      String(call?.args?.['xml']),
      /^<interface type="bridge">.*<model type="virtio"\/><alias name="ua-nic"\/>/,
    );
    assert.equal(deviceOf(harness, 'ua-nic')?.child('source')?.attribute('bridge'), 'br7');
  });

  it('is refused with what is wrong with it', async () => {
    const harness = await deviceHarness();
    const run = (params: Readonly<Record<string, unknown>>): Promise<unknown> =>
      harness.run('VM.updateDevice', ID, { params: { deviceType: 'interface', ...params } });
    await rejectsWith(run({ linkActive: true }), 11, /alias/);
    await rejectsWith(run({ alias: 'ua-x' }), 56, /vm-1 .* no NIC with alias ua-x; it has: ua-nic/);
    await rejectsWith(run({ alias: 'ua-nic', linkActive: 'perhaps' }), 91, /linkActive/);
    await rejectsWith(run({ alias: 'ua-nic', portMirroring: ['net1'] }), 44, /portMirroring/);
    await rejectsWith(run({ xml: '<disk/>' }), 91);
    harness.hypervisor.failNext('devices.update', new HypervisorError('unsupported', 'no MTU on a bridge'));
    await rejectsWith(run({ alias: 'ua-nic', mtu: 9000 }), 56, /no MTU on a bridge/);
    await harness.run('VM.updateDevice', ID, nicParams({ portMirroring: [], custom: {} }));
  });

  it('cannot give a network to a NIC that is on none', async () => {
    const harness = await deviceHarness(`<interface type='user'><alias name='ua-nic'/></interface>`);
    await rejectsWith(harness.run('VM.updateDevice', ID, nicParams({ network: 'br0' })), 56, /type user/);
  });
});
