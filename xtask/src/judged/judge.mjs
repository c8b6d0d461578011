// Judges Markdown by the programs that show it: links lead to files that are there, anchors are GitHub's, Mermaid reads
// every diagram. Arguments: the folder, then files in it. Prints what was looked at, then one line for each fault.
import fs from "node:fs";
import path from "node:path";

import GithubSlugger from "github-slugger";
import { JSDOM } from "jsdom";
import remarkGfm from "remark-gfm";
import remarkParse from "remark-parse";
import { unified } from "unified";

// Mermaid asks for a browser's document when it is loaded.
const { window } = new JSDOM("<!doctype html><body></body>");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");

const text = (node) => node.value ?? (node.children ?? []).map(text).join("");
const all = (node, ...types) => [
  ...(types.includes(node.type) ? [node] : []),
  ...(node.children ?? []).flatMap((child) => all(child, ...types)),
];

const pages = new Map();
function read(file) {
  if (!pages.has(file)) {
    const tree = unified().use(remarkParse).use(remarkGfm).parse(fs.readFileSync(file, "utf8"));
    const slugger = new GithubSlugger();
    pages.set(file, { tree, anchors: new Set(all(tree, "heading").map((heading) => slugger.slug(text(heading)))) });
  }
  return pages.get(file);
}

const [root, ...files] = process.argv.slice(2);
const looked = { files: 0, links: 0, anchors: 0, diagrams: 0 };
const faults = [];

for (const name of files) {
  const file = path.join(root, name);
  const { tree } = read(file);
  const fault = (node, words) => faults.push(`${name}:${node.position.start.line}: ${words}`);
  looked.files += 1;
  for (const link of all(tree, "link", "definition", "image")) {
    if (/^[a-z]+:/i.test(link.url)) continue;
    looked.links += 1;
    const [address, anchor] = link.url.split("#");
    const target = address ? path.resolve(path.dirname(file), decodeURIComponent(address)) : file;
    if (!fs.existsSync(target)) {
      fault(link, `no file ${link.url}`);
    } else if (anchor && target.endsWith(".md")) {
      looked.anchors += 1;
      if (!read(target).anchors.has(anchor)) fault(link, `no anchor ${link.url}`);
    }
  }
  for (const code of all(tree, "code").filter((code) => code.lang === "mermaid")) {
    looked.diagrams += 1;
    await mermaid.parse(code.value).catch((error) => fault(code, `no diagram: ${error.message.split("\n")[0]}`));
  }
}
console.log(JSON.stringify({ looked, faults }));
