// Everything a client of fhir-kit-client does in a working day. Reads {"base", "token"}.
import { Client } from 'fhir-kit-client';
import { asked, end, order, patient, refusal, step } from './day.mjs';

const client = new Client({ baseUrl: asked.base, bearerToken: asked.token });
const MRN = 'urn:interop:mrn';
const codes = (bundle) => bundle.entry.map((each) => each.response.status.slice(0, 3));
let made;

await step('metadata', async () => (await client.capabilityStatement()).fhirVersion);
await step('smart', async () => `${(await client.smartAuthMetadata()).tokenUrl}`.replace(/^.*(?=\/oauth)/, ''));
await step('create', async () => {
  made = await client.create({ resourceType: 'Patient', body: patient('kit-1', 'Kit') });
  return made.meta.versionId;
});
const resourceType = 'Patient';
const id = made.id;
await step('read', async () => (await client.read({ resourceType, id })).name[0].family);
await step('update', async () => (await client.update({ resourceType, id, body: { ...made, active: true } })).meta.versionId);
await step('search', async () => {
  const found = await client.search({ resourceType, searchParams: { identifier: `${MRN}|kit-1` } });
  return found.entry.map((each) => each.resource.id === id);
});
await step('search by POST', async () => {
  const searchParams = { identifier: `${MRN}|kit-1` };
  return (await client.search({ resourceType, searchParams, options: { postSearch: true } })).entry.length;
});
await step('vread', async () => (await client.vread({ resourceType, id, version: '1' })).meta.versionId);
await step('patch', async () => {
  const jsonPatch = [{ op: 'replace', path: '/name/0/family', value: 'Patched' }];
  return (await client.patch({ resourceType, id, jsonPatch })).name[0].family;
});
await step('history', async () =>
  (await client.history({ resourceType, id })).entry.map((each) => each.resource.meta.versionId),
);
await step('history of a type', async () => (await client.history({ resourceType })).type);
await step('conditional create', async () => {
  const options = { headers: { 'If-None-Exist': `identifier=${MRN}|kit-2` } };
  const ids = new Set();
  for (let n = 0; n < 3; n += 1) {
    ids.add((await client.create({ resourceType, body: patient('kit-2', 'Once'), options })).id);
  }
  return ids.size;
});
await step('transaction', async () => {
  const done = await client.transaction({ body: order('kit-3') });
  const request = done.entry[1].response.location.match(/ServiceRequest\/([^/]+)/)[1];
  const stored = await client.read({ resourceType: 'ServiceRequest', id: request });
  const subject = await client.resolve({ reference: stored.subject.reference });
  return [...codes(done), subject.name[0].family];
});
await step('batch', async () => {
  const entry = [`Patient/${id}`, 'Patient/nobody'].map((url) => ({ request: { method: 'GET', url } }));
  return codes(await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry } }));
});
await step('paging', async () => {
  for (let n = 0; n < 7; n += 1) {
    await client.create({ resourceType: 'Organization', body: { resourceType: 'Organization', name: `Kit ward ${n}` } });
  }
  const seen = new Set();
  let pages = 0;
  let page = await client.search({ resourceType: 'Organization', searchParams: { name: 'kit', _count: 3 } });
  while (page) {
    pages += 1;
    (page.entry ?? []).forEach((each) => seen.add(each.resource.id));
    page = await client.nextPage({ bundle: page });
  }
  return [pages, seen.size];
});
await step('compartment', async () => {
  const found = await client.search({ resourceType: 'ServiceRequest', compartment: { resourceType, id } });
  return found.type;
});
await step('delete', async () => {
  const gone = await client.create({ resourceType: 'Organization', body: { resourceType: 'Organization', name: 'Gone' } });
  await client.delete({ resourceType: 'Organization', id: gone.id });
  return refusal(client.read({ resourceType: 'Organization', id: gone.id }), (error) => error.response.status);
});
await step('refusal', () =>
  refusal(client.create({ resourceType, body: { resourceType, colour: 'blue' } }), (error) => [
    error.response.status,
    error.response.data.issue[0].expression[0],
  ]),
);
await step('unknown parameter', () =>
  refusal(client.search({ resourceType, searchParams: { colour: 'blue' } }), (error) => error.response.status),
);
end();
