"""Clean pieces of the cached rows: pool with a voice of another clip, or of the other half."""
import sys,glob,time,pickle; sys.path.insert(0,'/work/main')
import numpy as np
from lib.data import noisy
def unit(v): return v/np.linalg.norm(v)
class Pieces(list):
    def __getitem__(self,i): return super().__getitem__(i).astype('float32')/32767
def load():
    rng=np.random.default_rng(0); by={}
    for f in sorted(glob.glob('/work/main/runs/frames/chunk-*.npz')+glob.glob('/root/f5/more-*.npz')):
        for r in np.load(f,allow_pickle=True)['rows']:
            if r['split']!='train': continue
            by.setdefault(r['speaker'],[]).append((r['wav'],r['windows'].astype('float32')))
    pieces,spk,emb=[],[],[]
    n=0
    for name,clips in by.items():
        clips=[c for c in clips if len(c[0])>=2*16000]
        if not clips: continue
        if len(clips)==1:
            wav,w=clips[0]
            if len(wav)<6*16000: continue
            half=len(wav)//2; starts=np.arange(len(w))*24000
            first=w[starts+48000<=half+8000][:9]; last=w[starts>=half-8000]
            first=first if len(first) else w[:1]; last=last if len(last) else w[-1:]
            pieces+=[wav[:half],wav[half:]]; emb+=[unit(last.mean(0)),unit(first.mean(0))]; spk+=[n,n]
        else:
            for i,(wav,_) in enumerate(clips):
                j=(i+rng.integers(1,len(clips)))%len(clips)
                pieces.append(wav); emb.append(unit(clips[j][1].mean(0))); spk.append(n)
        n+=1
    return noisy.Pool(Pieces(pieces),np.array(spk),np.stack(emb).astype('float32'))
if __name__=='__main__':
    t=time.time(); p=load(); print(len(p.pieces),p.speaker.max()+1,sum(map(len,p.pieces))/16000/3600,time.time()-t)
