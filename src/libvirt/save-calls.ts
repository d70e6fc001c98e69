/**
 * The port's calls for memory to and from files. What takes as long as the memory is large has the lane of jobs; the
 * call that cancels it must not wait behind it.
 */
import type { SaveCalls } from '../domain/hypervisor-verbs.js';
import type { DomainCalls } from './domain-calls.js';
import { SaveFlag, XmlFlag } from './enumerations.js';

export function saveCalls(domains: DomainCalls): SaveCalls {
  const { jobs, verbs } = domains.lanes;
  return {
    async save(id, path, options) {
      await jobs.call('DOMAIN_SAVE_FLAGS', { ...domains.on(id), to: path }, options);
    },

    async restore(path, { xml, paused }, options) {
      const flags = paused ? SaveFlag.paused : SaveFlag.running;
      await jobs.call('DOMAIN_RESTORE_FLAGS', { from: path, xml, flags }, options);
    },

    // Of the daemon's priority procedures, but it reads a file, which may hang with its storage.
    async savedXml(path, options) {
      const request = { file: path, flags: XmlFlag.secure };
      return (await verbs.call('DOMAIN_SAVE_IMAGE_GET_XML_DESC', request, options)).xml;
    },

    async abortJob(id, options) {
      await verbs.call('DOMAIN_ABORT_JOB', domains.on(id), options);
    },
  };
}
