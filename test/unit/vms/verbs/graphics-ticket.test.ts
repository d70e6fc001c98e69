import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import { parseXmlForEdit } from '../../../../src/util/xml-edit.js';
import type { XmlNodeElement } from '../../../../src/util/xml-edit.js';
import { deviceHarness, ID, rejectsWith, SPICE, VNC } from './device-fixture.js';
import type { Harness } from '../harness.js';

const PASSWORD = 'sec&<"ret';
const ticket = { password: PASSWORD, ttl: 120, existingConnAction: 'disconnect' } as const;
const update = (more: Readonly<Record<string, unknown>> = {}) => ({
  params: { deviceType: 'graphics', graphicsType: 'vnc', password: PASSWORD, ttl: 120, ...more },
});

/** A console that the hypervisor was given, and how. */
interface Given {
  readonly xml: XmlNodeElement;
  readonly persist: unknown;
}

function given(harness: Harness): Given[] {
  return harness.hypervisor
    .callsOf('devices.update')
    .map(({ args }) => ({ xml: parseXmlForEdit(String(args?.['xml'])), persist: args?.['persist'] }));
}

describe("a console's ticket", () => {
  it('is the password and its end in UTC, on the running domain only', async () => {
    const harness = await deviceHarness();
    assert.equal(await harness.run('VM.setTicket', ID, ticket), true);
    const [{ xml, persist }] = given(harness) as [Given];
    assert.equal(xml.attribute('passwd'), 'sec&<"re', 'a key of VNC has 8 bytes');
    assert.equal(xml.attribute('passwdValidTo'), '2026-01-01T00:02:00');
    assert.equal(xml.attribute('port'), '5901', 'the rest is as it was');
    assert.equal(xml.child('listen')?.attribute('address'), '127.0.0.1');
    assert.equal(persist, false);
  });

  it('tells SPICE what becomes of who is connected, and VNC not, which knows nothing but to keep them', async () => {
    const harness = await deviceHarness(SPICE + VNC);
    await harness.run('VM.setTicket', ID, ticket);
    await harness.run('VM.updateDevice', ID, update({ existingConnAction: 'fail' }));
    const [spice, vnc] = given(harness) as [Given, Given];
    assert.equal(spice.xml.attribute('type'), 'spice');
    assert.equal(spice.xml.attribute('connected'), 'disconnect');
    assert.equal(spice.xml.attribute('passwd'), PASSWORD);
    assert.equal(vnc.xml.attribute('type'), 'vnc');
    assert.equal(vnc.xml.attribute('connected'), undefined);
  });

  it('closes the console with an empty password, or with no time', async () => {
    const harness = await deviceHarness();
    await harness.run('VM.setTicket', ID, { ...ticket, password: '' });
    await harness.run('VM.updateDevice', ID, update({ ttl: 0 }));
    for (const { xml } of given(harness)) assert.equal(xml.attribute('passwdValidTo'), '1970-01-01T00:00:01');
    assert.equal(given(harness)[0]?.xml.attribute('passwd'), '');
  });

  it('never ends after the last year that libvirt can read', async () => {
    const harness = await deviceHarness();
    await harness.run('VM.setTicket', ID, { ...ticket, ttl: Number.MAX_SAFE_INTEGER });
    assert.equal(given(harness)[0]?.xml.attribute('passwdValidTo'), '9999-12-31T00:00:00');
  });

  it('cuts a password of VNC between characters', async () => {
    const harness = await deviceHarness();
    await harness.run('VM.setTicket', ID, { ...ticket, password: 'äöüßx€' });
    assert.equal(given(harness)[0]?.xml.attribute('passwd'), 'äöüß');
  });

  it('is in no error: not where libvirt quotes it, nor in what a log would print of the cause', async () => {
    const harness = await deviceHarness();
    for (const quoted of [`near passwd='${PASSWORD}'`, 'passwd=&apos;sec&amp;&lt;&quot;ret&apos;']) {
      harness.hypervisor.failNext('devices.update', new HypervisorError('failed', `XML error: ${quoted}`));
      await assert.rejects(harness.run('VM.setTicket', ID, ticket), (error: Error) => {
        for (let each: unknown = error; each instanceof Error; each = each.cause) {
          assert.doesNotMatch(`${each.message}${each.stack ?? ''}`, /sec(&|&amp;)/);
        }
        return true;
      });
    }
    const short = { ...ticket, password: 'x' };
    harness.hypervisor.failNext('devices.update', new HypervisorError('failed', `<graphics passwd='x'`));
    await rejectsWith(harness.run('VM.setTicket', ID, short), 18, /withheld/);
    harness.hypervisor.failNext('devices.update', new HypervisorError('failed', 'exactly why'));
    await rejectsWith(harness.run('VM.setTicket', ID, short), 18, /exactly why/);
    harness.hypervisor.failNext('devices.update', new HypervisorError('unsupported', 'no such thing'));
    await rejectsWith(harness.run('VM.setTicket', ID, ticket), 18, /no such thing/);
    await rejectsWith(
      harness.run('VM.setTicket', ID, { ...ticket, password: 'sec\u0001ret' }),
      91,
      /control/,
    );
  });

  it('needs a console of that type', async () => {
    const harness = await deviceHarness(VNC);
    await rejectsWith(
      harness.run('VM.updateDevice', ID, update({ graphicsType: 'spice' })),
      18,
      /type spice/,
    );
    const without = await deviceHarness(`<graphics type='sdl'/>`);
    await rejectsWith(without.run('VM.setTicket', ID, ticket), 18, /vm-1 .* has no console/);
  });

  it('is refused where it is not whole', async () => {
    const harness = await deviceHarness();
    const refused = (code: number, params: Readonly<Record<string, unknown>>): Promise<void> =>
      rejectsWith(harness.run('VM.updateDevice', ID, { params }), code);
    await refused(11, { graphicsType: 'vnc' });
    await refused(11, { deviceType: 'graphics', graphicsType: 'vnc', ttl: 1 });
    await refused(11, { deviceType: 'graphics', graphicsType: 'vnc', password: 'x' });
    await refused(11, { deviceType: 'graphics', password: 'x', ttl: 1 });
    await refused(91, update({ existingConnAction: 'kick' }).params);
    await refused(44, update({ xml: VNC }).params);
    await refused(11, update({ params: { fips: 'perhaps' } }).params);
    await refused(44, update({ params: { fips: 'true', vncUsername: 'vnc-1' } }).params);
    await refused(44, { deviceType: 'sound', alias: 'ua-1' });
    assert.equal(harness.hypervisor.countCalls('devices.update'), 0);
  });
});
