import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kind } from './connection-fixture.js';
import { BOTH, code, CONFIG, DriverFixture, id, LIVE } from './driver-fixture.js';

const fixture = DriverFixture.use();
const element = { uri: 'u', prefix: 'p', xml: '<a/>' };

describe('changes of a domain and its definition', () => {
  const attach = (): Promise<void> => fixture.hypervisor.devices.attach(id, '<d/>');
  const setMetadata = (): Promise<void> => fixture.hypervisor.metadata.set(id, element, 'both');
  const is = (active: boolean, persistent: boolean): void => {
    fixture.daemon.answer('DOMAIN_IS_ACTIVE', () => ({ active: Number(active) }));
    fixture.daemon.answer('DOMAIN_IS_PERSISTENT', () => ({ persistent: Number(persistent) }));
  };

  it('are of the running domain alone where that is transient', async () => {
    is(true, false);
    for (const name of ['DOMAIN_ATTACH_DEVICE_FLAGS', 'DOMAIN_SET_METADATA'] as const) {
      fixture.fail(name, { [BOTH]: code.invalidState });
    }
    await attach();
    await setMetadata();
    assert.deepEqual(fixture.flagsOf('DOMAIN_ATTACH_DEVICE_FLAGS'), [BOTH, LIVE]);
    assert.deepEqual(fixture.flagsOf('DOMAIN_SET_METADATA'), [BOTH, LIVE]);
  });

  it('are of the definition alone where the domain has stopped: of metadata, not of devices', async () => {
    is(false, true);
    for (const name of ['DOMAIN_ATTACH_DEVICE_FLAGS', 'DOMAIN_SET_METADATA'] as const) {
      fixture.fail(name, { [BOTH]: code.invalidState });
    }
    await assert.rejects(attach(), kind('invalid-state'));
    await setMetadata();
    assert.deepEqual(fixture.flagsOf('DOMAIN_ATTACH_DEVICE_FLAGS'), [BOTH]);
    assert.deepEqual(fixture.flagsOf('DOMAIN_SET_METADATA'), [BOTH, CONFIG]);
  });

  it('fail as they failed where the domain is there and persistent', async () => {
    is(true, true);
    fixture.fail('DOMAIN_SET_METADATA', { [BOTH]: code.invalidState });
    await assert.rejects(setMetadata(), kind('invalid-state'));
    assert.deepEqual(fixture.flagsOf('DOMAIN_SET_METADATA'), [BOTH]);
    fixture.fail('DOMAIN_ATTACH_DEVICE_FLAGS', { [BOTH]: code.failed });
    await assert.rejects(attach(), kind('failed'));
    assert.deepEqual(fixture.flagsOf('DOMAIN_ATTACH_DEVICE_FLAGS'), [BOTH]);
  });

  for (const missing of [code.deviceMissing, code.invalidArg]) {
    it(`are of the running domain where the definition lacks the device (${missing})`, async () => {
      fixture.fail('DOMAIN_UPDATE_DEVICE_FLAGS', { [BOTH]: missing });
      await fixture.hypervisor.devices.update(id, '<d/>', { force: false, persist: true });
      assert.deepEqual(fixture.flagsOf('DOMAIN_UPDATE_DEVICE_FLAGS'), [BOTH, LIVE]);
    });
  }

  it('detach what the definition has lost already, and nothing that neither has', async () => {
    fixture.fail('DOMAIN_DETACH_DEVICE_FLAGS', { [BOTH]: code.deviceMissing });
    await fixture.hypervisor.devices.detach(id, '<d/>');
    assert.deepEqual(fixture.flagsOf('DOMAIN_DETACH_DEVICE_FLAGS'), [BOTH, LIVE]);
    fixture.fail('DOMAIN_DETACH_DEVICE_FLAGS', { [BOTH]: code.deviceMissing, [LIVE]: code.deviceMissing });
    await assert.rejects(fixture.hypervisor.devices.detach(id, '<d/>'), kind('no-device'));
  });
});
