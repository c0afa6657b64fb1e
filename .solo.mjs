const { RingProducer } = await import('/tmp/wt/channel/dist/channel/ring/producer.js');
const { RingConsumer } = await import('/tmp/wt/channel/dist/channel/ring/consumer.js');
const CAP=1<<16; const buf=new ArrayBuffer(4096+CAP);
const p=new RingProducer(buf,512,4096,CAP), c=new RingConsumer(buf,512,4096,CAP);
const msg=new Uint8Array(64).fill(1); const mw=new Int32Array(new ArrayBuffer(64)); const w=new Int32Array(buf);
let sum=0;
function time(name,n,f){ f(n); f(n); const t=process.hrtime.bigint(); f(n); console.log(name,(Number(process.hrtime.bigint()-t)/n).toFixed(1)); }
time('write+next+release', 5e6, n=>{ for(let i=0;i<n;i++){ p.write(msg,0); const o=c.next(); sum=sum^w[o>>2]; if(c.release()) c.publish(); } c.publish(); });
time('reserve+words+commit+next', 5e6, n=>{ for(let i=0;i<n;i++){ const o=p.reserve(64)>>2; for(let k=0;k<16;k++) w[o+k]=mw[k]; p.commit(64,0); const q=c.next(); sum=sum^w[q>>2]; if(c.release()) c.publish(); } c.publish(); });
time('reserve+commit+next', 5e6, n=>{ for(let i=0;i<n;i++){ const o=p.reserve(64)>>2; p.commit(64,0); const q=c.next(); sum=sum^w[q>>2]; if(c.release()) c.publish(); } c.publish(); });
time('publish each', 5e6, n=>{ for(let i=0;i<n;i++){ const o=p.reserve(64)>>2; p.commit(64,0); const q=c.next(); sum=sum^w[q>>2]; c.release(); c.publish(); } c.publish(); });
