import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { faultInXml } from '../../../src/util/xml-check.js';
import { xmlElement, type XmlNodeElement } from '../../../src/util/xml-edit.js';

describe('the check of XML', () => {
  it('finds nothing wrong with what is well-formed', () => {
    for (const xml of [
      '<a/>',
      `<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY x "y>">]>\n<a x='1' y = "a>b"><!-- <b> --><![CDATA[<c>]]>&x;</a\n>`,
      '<p:a xmlns:p="urn:p"><p:b-c.d _e="\'"/></p:a>',
    ]) {
      assert.equal(faultInXml(xml), undefined, xml);
    }
  });

  it('says what is wrong, and where', () => {
    assert.equal(faultInXml('<a>\n<b></a>'), '</a> in line 2 ends <b>');
    assert.equal(faultInXml('<a/></a>'), '</a> in line 1 ends nothing');
    assert.equal(faultInXml('<a><b/>'), '<a> has no end');
    assert.equal(faultInXml('<a x="1" x="2"/>'), '<a> in line 1 has attribute x twice');
    for (const xml of [
      '<a x=1/>',
      '<a x/>',
      '<a',
      '<a x="<"/>',
      '<a x="1"y="2"/>',
      '< a/>',
      '<!-- a',
      '<1/',
      '<a x="1/>',
    ]) {
      assert.equal(faultInXml(xml), 'what begins in line 1 is no tag', xml);
    }
  });

  it('holds for every element that is written, and for none that lost the end of a tag', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9:.-]{0,5}$/);
    const text = fc.string({ unit: 'grapheme-ascii', maxLength: 10 });
    const { tree } = fc.letrec<{ tree: XmlNodeElement }>((tie) => ({
      tree: fc
        .tuple(
          name,
          fc.dictionary(name, text, { maxKeys: 3 }),
          fc.oneof({ maxDepth: 3 }, text, fc.array(tie('tree'), { maxLength: 3 })),
        )
        .map(([tag, attributes, content]) => xmlElement(tag, attributes, content)),
    }));
    fc.assert(
      fc.property(tree, fc.nat(), (element, seed) => {
        const xml = String(element);
        assert.equal(faultInXml(xml), undefined, xml);
        const brackets = [...xml.matchAll(/>/g)].map(({ index }) => index);
        const at = brackets[seed % brackets.length] ?? 0;
        const broken = xml.slice(0, at) + xml.slice(at + 1);
        assert.notEqual(faultInXml(broken), undefined, broken);
      }),
    );
  });

  it('takes time in proportion to the text, whatever it is', () => {
    for (const part of ['<a ', '<a x="', "<a x='1' ", '<!--', '<![CDATA[', '<a>', ' x="1"', '<!DOCTYPE [']) {
      const begunMs = performance.now();
      faultInXml(`<a ${part.repeat(200_000 / part.length)}`);
      assert.ok(performance.now() - begunMs < 2000, part);
    }
  });
});
