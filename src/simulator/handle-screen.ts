/** Handler of the one call that answers with a stream: a picture of the first screen. */
import { StreamReply } from './call.js';
import type { Handlers } from './call.js';
import { Fault } from './fault.js';
import { screenshotOf } from './screenshot.js';

export const screenHandlers = {
  DOMAIN_SCREENSHOT(call, { dom, screen }) {
    const domain = call.activeDomain(dom);
    if (!domain.config.others.some(({ base }) => base.name === 'video')) {
      throw new Fault('invalid-state', 'no available screen');
    }
    if (screen !== 0) throw new Fault('invalid-state', 'no such screen ID');
    return call.withMonitor(
      domain,
      () => new StreamReply<'DOMAIN_SCREENSHOT'>({ mimeType: 'image/png' }, screenshotOf(domain)),
    );
  },
} as const satisfies Handlers;
