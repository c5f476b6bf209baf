"""python train3.py END(HH:MM) NAME LR: goes on from gen25.pt; seen against unseen gain first; state every 3 minutes."""
import sys,os,time,copy,datetime; sys.path[:0]=['/work/main','/root/voice-atlas-runs/enh']
import numpy as np, torch
torch.set_num_threads(1)
os.environ['VOICE_ATLAS_CORPUS']='/work/shared/corpus'
from lib import losses, audio
from lib.data import corpus, noisy
from lib.models.enhancer import *
import cachepool, fast, perceived
from lib.evaluation import metrics
PES=float(sys.argv[6])
end,name,lr=sys.argv[1],sys.argv[2],float(sys.argv[3])
hh,mm=map(int,end.split(':')); END=datetime.datetime.now().replace(hour=hh,minute=mm,second=0).timestamp(); END+=86400*(END<time.time())
here='/root/voice-atlas-runs/enh/'
c=time.process_time(); pool=cachepool.load(); print(len(pool.pieces),'pieces, cpu',time.process_time()-c,flush=True)
rec=noisy.recorded(r for r in corpus.noise_rows() if not noisy.held_out(r))
rng=np.random.default_rng(1)
made=[m(rng,8*16000) for _ in range(40) for m in (noisy.coloured,noisy.hum,noisy.clicks)]
class Vary(noisy.Noisy):
    # other throats where no voice is told, other equalisers everywhere
    def mixture(self,rng):
        mine=rng.integers(len(self.by_speaker)); i=rng.choice(self.by_speaker[mine]); told=rng.random()<self.told
        if not told and rng.random()<.5:
            k=rng.uniform(.85,1.18); n=int(self.T*k)+2; w=noisy.stretch(rng,self.speech.pieces[i],n); speech=np.interp(np.arange(self.T)*k,np.arange(n),w).astype('float32')
        else: speech=noisy.stretch(rng,self.speech.pieces[i],self.T)
        if rng.random()<.5:
            knots=np.geomspace(50,8000,8); hz=np.fft.rfftfreq(self.T,1/16000); speech=np.fft.irfft(np.fft.rfft(speech)*10**(np.interp(hz,knots,rng.normal(0,3,8))/20),self.T).astype('float32')
        if told and rng.random()<noisy.RIVAL: noise=self.rival(rng,mine)
        elif rng.random()<noisy.BABBLE: noise=self.babble(rng,mine)
        else: noise=self.noise(rng)
        snr=rng.uniform(*(noisy.EASY_DB if rng.random()<noisy.EASY else self.snr_db)); gain=10**(rng.uniform(*noisy.GAIN_DB)/20)
        return (gain*noisy.mix(speech,noise,snr)).astype('float32'),(gain*speech).astype('float32'),self.speech.spk_emb[i],float(told)
B=int(sys.argv[4]) if len(sys.argv)>4 else 8
draws=Vary(pool,rec+rec+made,B=B,seconds=2.5)
net=Enhancer(EnhancerConfig())
path=here+name+'.pt'
source=path if os.path.exists(path) else here+'gen43.pt'
st=torch.load(source,weights_only=False)
start=st['i'] if source==path else 0
net.load_state_dict(st['net' if start else 'avg']); avg=copy.deepcopy(net); avg.load_state_dict(st['avg'])
opt=torch.optim.AdamW(net.parameters(),lr,betas=(.9,.98),weight_decay=1e-3)
opt.load_state_dict(st['opts'][0]); before=st['spent'] if start else 0.
@torch.no_grad()
def look(n,batches):
    out={'any':[], 'told':[], 'rival':[], 'pesq':[], 'proxy':[]}
    for b in batches:
        est=n(b['noisy'],b['spk_emb'],b['told'])
        g=(losses.negative_sdr(b['noisy'],b['speech'])-losses.negative_sdr(est,b['speech'])).flatten()
        for x,y,z,t in zip(est[:,0].numpy(),b['speech'][:,0].numpy(),b['noisy'][:,0].numpy(),b['told'].tolist()):
            if not t:
                try: out['pesq'].append(metrics.pesq(x,y)-metrics.pesq(z,y)); out['proxy'].append(float(perceived.mos(torch.tensor(y)[None],torch.tensor(x)[None])-perceived.mos(torch.tensor(y)[None],torch.tensor(z)[None])))
                except Exception as e: pass
        for v,t in zip(g.tolist(),b['told'].tolist()): out['told' if t else 'any'].append(v)
    return {k:(round(float(np.mean(v)),2),len(v)) for k,v in out.items() if v}
# unseen: valid people 9 to 21 (the judge takes the first 8), held recordings
from lib.voices import Bundle
rows=[r for r in corpus.rows('/work/shared/corpus/speech-1.parquet','valid')]
by=list(corpus.by_speaker(rows).items())[8:]
enc=Bundle()['speaker_encoder']
@torch.inference_mode()
def embed(w): return enc(torch.tensor(w[:48000])[None,None])[0].numpy()
dev=noisy.pool({k:[corpus.wav(rows[i]) for i in p[:2]] for k,p in by},embed)
held=noisy.recorded(r for r in corpus.noise_rows() if noisy.is_fifth(r))
def fixed(pool,noises,seed):
    d=noisy.Noisy(pool,noises,B=8,seconds=2.5,snr_db=(-2.5,2.5)); d_=[]
    easy=noisy.EASY; noisy.EASY=0
    for k in range(10): d_.append(d.draw(np.random.default_rng([seed,k])))
    noisy.EASY=easy
    return d_
sets={'seen people, seen noise':fixed(pool,rec,7),'seen people, unseen noise':fixed(pool,held,7),
      'unseen people, seen noise':fixed(dev,rec,7),'unseen people, unseen noise':fixed(dev,held,7)}
def looks(n,words):
    n.eval()
    for k,v in sets.items(): print(words,k,look(n,v),flush=True)
    n.train()
looks(avg,f'step {start}')
LAM=float(sys.argv[5]) if len(sys.argv)>5 else 0.0; nears=[]; peds=[]
W512=torch.hann_window(512)
def pressed(est,speech):
    # compressed magnitudes, at a common level
    lev=speech.square().mean(-1,keepdim=True).sqrt().clamp_min(1e-4)
    def m(w):
        q=torch.stft((w/lev)[:,0].float(),512,160,window=W512,return_complex=True)/W512.sum()*8
        return (q.real**2+q.imag**2+1e-3).pow(.15)
    return (m(est)-m(speech)).abs().mean()
fast.patch(True)
begun=time.time(); cpu0=time.process_time(); last=begun; total=END-begun; log=[]; i=start
def save():
    torch.save({'avg':avg.state_dict(),'net':net.state_dict(),'i':i,'spent':before+time.time()-begun,'opts':[opt.state_dict()]},path+'.tmp'); os.replace(path+'.tmp',path)
while time.time()<END:
    s=min(1,(time.time()-begun)/total); r=min(1,(i+1-start)/200)*0.5*(1+np.cos(np.pi*s))
    for g in opt.param_groups: g['lr']=lr*r
    b=draws.draw(np.random.default_rng([3,i]))
    with torch.autocast('cpu',torch.bfloat16): est=net(b['noisy'],b['spk_emb'],b['told'])
    each=losses.negative_sdr(est,b['speech']); near=pressed(est,b['speech']); heard=perceived.loss(b['speech'][:,0],est.float()[:,0]); heard=heard[torch.isfinite(heard)].mean(); peds.append(float(heard)); opt.zero_grad(); (each.mean()+LAM*near+PES*heard).backward(); nears.append(float(near))
    norm=torch.nn.utils.clip_grad_norm_(net.parameters(),5.0)
    if torch.isfinite(norm): opt.step()
    i+=1; d=min(.9985,(i+10)/(i+40))
    with torch.no_grad(): torch._foreach_lerp_(list(avg.parameters()),list(net.parameters()),1-d)
    g=(losses.negative_sdr(b['noisy'],b['speech'])-each).detach().flatten(); t=b['told']>0
    log.append((float(g[~t].mean()) if (~t).any() else np.nan,float(g[t].mean()) if t.any() else np.nan))
    if i%250==0: print(i,f'{time.time()-begun:.0f} s cpu {time.process_time()-cpu0:.0f}','gain any/told',np.nanmean(log[-500:],0).round(2),'near',round(float(np.mean(nears[-500:])),4),'perceived',round(float(np.mean(peds[-500:])),4),f'lr {r:.2f}',flush=True)
    if time.time()-last>180: save(); last=time.time()
save(); looks(avg,f'step {i}'); print('done',i,flush=True)
