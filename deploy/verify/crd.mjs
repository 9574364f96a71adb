// Holds objects of KEDA's and the Prometheus operator's kinds against the schemas of their definitions, strictly.
//   node crd.mjs NODE_MODULES < objects.json      prints one JSON list of faults for each object
//
// The compiled schemas refuse wrong types and missing fields, but let fields pass that they do not know. So a proxy notes
// which fields a schema asks for: what it never asked for, in an object that it looked into, does not exist in the kind.
import { readFileSync, existsSync } from "node:fs";
import { pathToFileURL } from "node:url";

const modules = process.argv[2];
const KINDS = {
  "keda.sh/v1alpha1": ["keda", "ComGithubKedacoreKedaV2ApisKedaV1alpha1"],
  "monitoring.coreos.com/v1": ["prometheus-operator", "ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1"],
};
// Objects that no schema looks into: JSON of anybody's.
const FREE = [/^\/metadata\/(labels|annotations)$/];

async function schemaOf(object) {
  const [folder, prefix] = KINDS[object.apiVersion] ?? [];
  const file = `${modules}/@kubernetes-models/${folder}/_schemas/${prefix}${object.kind}.js`;
  return folder && existsSync(file) ? (await import(pathToFileURL(file))).validate : undefined;
}

/** The object in a proxy that notes in `asked`, by path, which fields were asked for; `null` stands for all. */
function watched(value, path, asked) {
  if (typeof value !== "object" || value === null) return value;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "symbol" || (Array.isArray(target) && isNaN(key))) return target[key];
      if (asked.get(path) !== null) (asked.get(path) ?? asked.set(path, new Set()).get(path)).add(key);
      return watched(target[key], `${path}/${key}`, asked);
    },
    ownKeys(target) {
      asked.set(path, null);
      return Reflect.ownKeys(target);
    },
  });
}

function unknown(value, path, asked, faults) {
  if (typeof value !== "object" || value === null) return;
  const known = asked.get(path);
  for (const [key, inner] of Object.entries(value)) {
    const here = `${path}/${key}`;
    if (known === undefined && !FREE.some((free) => free.test(path))) faults.push(`${here}: nothing is known of what is in here`);
    else if (known && !Array.isArray(value) && !known.has(key)) faults.push(`${here}: there is no such field`);
    else unknown(inner, here, asked, faults);
  }
}

const report = [];
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const validate = await schemaOf(object);
  if (!validate) {
    report.push([`there is no kind ${object.kind} in ${object.apiVersion}`]);
    continue;
  }
  const asked = new Map();
  const faults = [];
  if (!validate(watched(object, "", asked))) faults.push(...validate.errors.map((e) => `${e.instancePath}: ${e.keyword} ${JSON.stringify(e.params)}`));
  // A schema stops at the first fault of some places, so what it did not ask for says nothing then.
  if (!faults.length) unknown(object, "", asked, faults);
  report.push(faults);
}
console.log(JSON.stringify(report));
