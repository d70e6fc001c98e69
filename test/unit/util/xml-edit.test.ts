import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseXmlForEdit, xmlElement } from '../../../src/util/xml-edit.js';

describe('XML that is changed', () => {
  it('is written as it was read, but for comments', () => {
    const xml = `<a x="1 &amp; 2">t &lt; <!-- gone --><b:c xmlns:b="urn:b"/>\n<d>&#65;</d></a>`;
    assert.equal(String(parseXmlForEdit(xml)), xml.replace('<!-- gone -->', ''));
  });

  it('takes elements in and out', () => {
    const root = parseXmlForEdit('<domain><on_reboot>destroy</on_reboot><name>x</name></domain>');
    root.children('on_reboot').forEach((each) => root.remove(each));
    root.ensure('metadata').append(xmlElement('m', { k: 'a"b' }, 'x<y'));
    assert.equal(
      String(root),
      '<domain><name>x</name><metadata><m k="a&quot;b">x&lt;y</m></metadata></domain>',
    );
  });

  it('keeps CDATA as text', () => {
    assert.equal(parseXmlForEdit('<a><![CDATA[1 < 2]]></a>').text, '1 < 2');
  });

  it('says in one sentence what is no XML', () => {
    assert.throws(() => parseXmlForEdit('<a b="'), /not well-formed/);
    assert.throws(() => parseXmlForEdit('<a/><b/>'), /2 root elements/);
    assert.throws(() => parseXmlForEdit(''), /0 root elements/);
  });

  it('gives back any text and any attribute value', () => {
    const printable = fc.string({ unit: 'grapheme-ascii' }).filter((text) => !/[\r\n\t]/.test(text));
    fc.assert(
      fc.property(printable, printable, (text, value) => {
        const read = parseXmlForEdit(String(xmlElement('a', { value }, text)));
        assert.equal(read.text, text);
        assert.equal(read.attribute('value'), value);
      }),
    );
  });
});
