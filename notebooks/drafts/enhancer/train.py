import os,sys,time,json,copy
sys.path.insert(0,'/work/main')
import numpy as np, torch, contextlib
torch.set_num_threads(1)
from lib import audio, losses, training
from lib.data import corpus, noisy
from lib.models.enhancer import *
from lib.voices.bundle import Bundle
END=float(sys.argv[1])
os.environ['VOICE_ATLAS_CORPUS']='/work/shared/corpus'
t0=time.time()
enc=Bundle()['speaker_encoder']
@torch.inference_mode()
def embed(w):
    return enc(torch.tensor(np.ascontiguousarray(w[:3*16000]))[None,None])[0].numpy()
def side(split,most,files):
    g={}
    for f in files:
        for r in corpus.rows('/work/shared/corpus/'+f,split):
            g.setdefault(r['speaker'],[]).append(r)
    out={}
    for s,rs in g.items():
        ws=[]
        for r in rs[:most]:
            with contextlib.suppress(ValueError): ws.append(corpus.wav(r))
        if ws and (len(ws)>1 or len(ws[0])>3*16000): out[s]=ws
    return out
files=['speech-0.parquet','speech-1.parquet']
train=side('train',3,files); print('ls',time.time()-t0,flush=True)
train.update(side('train',2,['accented.parquet'])); print('acc',time.time()-t0,flush=True)
pool=noisy.pool(train,embed); print('pool',len(pool.pieces),time.time()-t0,flush=True)
import pickle; pickle.dump(pool,open('/tmp/enh/pool.pkl','wb'))
rec=[]
for r in corpus.noise_rows():
    if noisy.held_out(r): continue
    with contextlib.suppress(ValueError):
        rate,s=audio.load(r['audio']); s=audio.trim(audio.resample(s,rate,16000))
        if len(s)>8000: rec.append(s)
rng=np.random.default_rng(1)
noises=rec+noisy.generated(rng,pool.pieces,20)
print('noises',len(rec),len(noises),time.time()-t0,flush=True)
torch.manual_seed(0)
net=Enhancer(EnhancerConfig()); 
opt=torch.optim.AdamW(net.parameters(),2e-3,betas=(.9,.98),weight_decay=1e-3)
draws=noisy.Noisy(pool,noises,B=8,seconds=2.5)
def step(nets,b):
    est=nets['net'](b['noisy'],b['spk_emb'],b['told'])
    yield 'opt',{'sdr':losses.negative_sdr(est,b['speech']).mean()}
begun=time.time()
def rate(i):
    share=min(1,(time.time()-begun)/(END-begun))
    return min(1,(i+1)/60)*(0.02+0.98*0.5*(1+np.cos(np.pi*share)))
class Done(Exception): pass
log=[]
orig=draws.draw
ema=None
import threading
# loop by lib.training.fit, in slices until the clock says stop
total=100000
res=None
n=0
avg=copy.deepcopy(net)
def step2(nets,b):
    yield from step(nets,b)
    with torch.no_grad():
        d=min(.995,(step2.i+1)/(step2.i+10)); step2.i+=1
        for a,p in zip(avg.parameters(),net.parameters()): a.lerp_(p,1-d)
step2.i=0
seed=0
gen_last=time.time()
import itertools
for i in itertools.count():
    if time.time()>END: break
    for g in opt.param_groups: g['lr']=3e-3*rate(i)
    b=draws.draw(np.random.default_rng([0,i]))
    with torch.autocast('cpu',torch.bfloat16):
        est=net(b['noisy'],b['spk_emb'],b['told'])
    loss=losses.negative_sdr(est,b['speech']).mean()
    opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(net.parameters(),5.0); opt.step()
    d=min(.995,(i+1)/(i+10))
    with torch.no_grad():
        for a,p in zip(avg.parameters(),net.parameters()): a.lerp_(p,1-d)
    base=losses.negative_sdr(b['noisy'],b['speech']).mean()
    log.append(float(base-loss))
    if (i+1)%50==0:
        print(i+1,round(time.time()-begun),'gain',round(float(np.mean(log[-50:])),2),flush=True)
    if time.time()-gen_last>90:
        torch.save({'avg':avg.state_dict(),'net':net.state_dict(),'i':i+1},'/tmp/enh/state.tmp'); os.replace('/tmp/enh/state.tmp','/tmp/enh/state.pt'); gen_last=time.time()
torch.save({'avg':avg.state_dict(),'net':net.state_dict(),'i':i,'seconds':time.time()-begun},'/tmp/enh/final.pt')
print('done',i,flush=True)
