/** Runs in a thread of domain-xml-many.ts: parses a few documents. */
import { parseDomainXml } from './domain-xml.js';
import type { ParsedDocument } from './domain-xml-many.js';

export function parseDocuments(xmls: readonly string[]): ParsedDocument[] {
  return xmls.map((xml) => {
    try {
      const { xml: _text, ...facts } = parseDomainXml(xml);
      return facts;
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  });
}
