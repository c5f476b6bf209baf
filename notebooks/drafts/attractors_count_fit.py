import pickle, sys, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.pipeline import make_pipeline
from sklearn.model_selection import cross_val_predict, GroupKFold
r=pickle.load(open(sys.argv[1],"rb"))
def X(rows,kind):
    out=[]
    for S,f in rows:
        cos=[f[k][0] for k in (1,2,3,4)]; v=list(cos)
        if "s" in kind: v+=[f[k][1] for k in (2,3,4)]
        if "g" in kind: v+=[f[k][2] for k in (2,3,4)]
        if "w" in kind: v+=[f[k][3] for k in (1,2,3,4)]
        if "m" in kind: v+=[f[k][4] for k in (2,3,4)]
        if "e" in kind: v+=list(np.log(np.array(f["eig"][:6])+1e-4))
        if "5" in kind: v+=[f[5][0]]
        out.append(v)
    return np.array(out)
y={n:np.array([s for s,_ in rows]) for n,rows in r.items()}
for kind in ("c","cs","cg","cw","cm","ce","c5","cge","csg","cse","csge","cswgme5"):
    line=[]
    for C in (1,1000):
        clf=make_pipeline(StandardScaler(),LogisticRegression(C=C,max_iter=20000,class_weight={1:1,2:1,3:1,4:.1}))
        if C==1000 and kind=="c": clf=LogisticRegression(C=1000,max_iter=20000,class_weight={1:1,2:1,3:1,4:.1})
        Xl=X(r["learn"],kind); p=cross_val_predict(clf,Xl,y["learn"],cv=10); m=y["learn"]<4
        clf.fit(Xl,y["learn"]); s=[round((p==y["learn"])[m].mean(),3)]
        for n in r:
            if n=="learn": continue
            q=clf.predict(X(r[n],kind)); mm=y[n]<4; s.append((n,round((q==y[n])[mm].mean(),3),[round((q==y[n])[y[n]==k].mean(),2) for k in (1,2,3,4) if (y[n]==k).any()]))
        line.append(s)
    print(kind,line)
